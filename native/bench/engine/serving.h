// How jobs of one engine disturb each other: a question and a stream beside a long prompt.
#pragma once
#include "ds4.h"

namespace ds4::bench {

struct ServingFigures {
    double question_alone, question_behind; // seconds to the first of its tokens
    double stream_alone, stream_beside;     // tokens a second
    double document_alone, document_beside; // seconds to the first token after the prompt
};

// A question of 10 tokens, a stream, a document of `document_tokens`. Each figure is the median of
// `repeats`.
ServingFigures measure_serving(ds4_engine *engine, uint32_t vocab, uint32_t document_tokens,
                               uint32_t repeats);

} // namespace ds4::bench

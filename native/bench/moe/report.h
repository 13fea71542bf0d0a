// Rows of figures by suite, printed as tables and as one JSON object.
#pragma once
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "moe/settings.h"

namespace ds4::bench {

struct Value {
    Value(double number) : number(number) {}
    Value(int number) : number(number) {}
    Value(const char *text) : text(text), is_text(true) {}
    Value(const std::string &text) : text(text), is_text(true) {}
    double number = 0;
    std::string text;
    bool is_text = false;
};

using Row = std::vector<std::pair<std::string, Value>>;

struct Target {
    std::string name;
    double value, bound;
    bool at_least; // else at most

    bool met() const { return at_least ? value >= bound : value <= bound; }
};

class Report {
  public:
    explicit Report(bool prints) : prints_(prints) {}
    // Prints the row at once. A heading comes first when the suite or its columns change.
    void row(const std::string &suite, const Row &row);
    void at_least(const std::string &name, double value, double bound) {
        targets_.push_back({name, value, bound, true});
    }
    void at_most(const std::string &name, double value, double bound) {
        targets_.push_back({name, value, bound, false});
    }
    // Notes something that was not measured, and why.
    void skip(const std::string &suite, const std::string &reason);
    void print_targets() const;
    void write_json(std::FILE *file, const Settings &settings) const;

  private:
    bool prints_;
    std::string heading_;
    std::vector<std::pair<std::string, Row>> rows_;
    std::vector<std::pair<std::string, std::string>> skipped_;
    std::vector<Target> targets_;
};

} // namespace ds4::bench

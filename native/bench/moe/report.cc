#include "moe/report.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "kt_bridge.h"
#include "machine/cpu_model.h"

namespace ds4::bench {
namespace {

// Width for the column's name and its values.
int width_of(const std::string &key, const Value &value) {
    if (!value.is_text) return std::max(int(key.size()), 7);
    return std::max(int(key.size()), std::max(9, int(value.text.size())));
}

// JSON has no infinities, so that a figure that could not be measured is null.
std::string number(double value) {
    if (!std::isfinite(value)) return "null";
    char text[40];
    std::snprintf(text, sizeof text, "%.5g", value);
    return text;
}

} // namespace

void Report::row(const std::string &suite, const Row &row) {
    rows_.emplace_back(suite, row);
    if (!prints_) return;
    std::string heading = suite;
    for (const auto &[key, value] : row) heading += " " + key;
    if (heading != heading_) {
        std::printf("\n%s\n ", suite.c_str());
        for (const auto &[key, value] : row)
            std::printf(value.is_text ? " %-*s" : " %*s", width_of(key, value), key.c_str());
        std::printf("\n");
    }
    heading_ = heading;
    std::printf(" ");
    for (const auto &[key, value] : row) {
        if (value.is_text)
            std::printf(" %-*s", width_of(key, value), value.text.c_str());
        else
            std::printf(" %*.4g", width_of(key, value), value.number);
    }
    std::printf("\n");
    std::fflush(stdout);
}

void Report::skip(const std::string &suite, const std::string &reason) {
    const std::pair<std::string, std::string> entry(suite, reason);
    if (std::find(skipped_.begin(), skipped_.end(), entry) != skipped_.end()) return;
    skipped_.push_back(entry);
    heading_.clear();
    if (!prints_) return;
    std::printf("\n%s: not measured: %s\n", suite.c_str(), reason.c_str());
    std::fflush(stdout);
}

void Report::print_targets() const {
    if (!prints_ || targets_.empty()) return;
    std::printf("\ntargets\n");
    for (const Target &target : targets_)
        std::printf("  %-6s %-72s %8.3g  %s %.3g\n", target.met() ? "met" : "MISSED",
                    target.name.c_str(), target.value, target.at_least ? ">=" : "<=", target.bound);
}

void Report::write_json(std::FILE *file, const Settings &settings) const {
    const Shape &shape = settings.shape;
    std::fprintf(file,
                 "{\"schema\":\"kt_moe_bench/"
                 "3\",\"abi_version\":%u,\"cpu\":%s,\"threads\":%d,\"parts\":%d,\"full\":%s,",
                 ktb_abi_version(), json_quoted(machine::cpu_model()).c_str(), settings.threads,
                 settings.parts, settings.full ? "true" : "false");
    std::fprintf(file,
                 "\"layers\":%d,\"experts\":%d,\"experts_per_token\":%d,\"hidden\":%d,"
                 "\"intermediate\":%d,\"seconds\":%"
                 "s,\n\"rows\":[",
                 settings.layers, shape.experts, shape.experts_per_token, shape.hidden,
                 shape.intermediate, number(settings.seconds).c_str());
    for (size_t i = 0; i < rows_.size(); i++) {
        std::fprintf(file, "%s{\"suite\":%s", i == 0 ? "\n" : ",\n",
                     json_quoted(rows_[i].first).c_str());
        for (const auto &[key, value] : rows_[i].second)
            std::fprintf(file, ",%s:%s", json_quoted(key).c_str(),
                         value.is_text ? json_quoted(value.text).c_str()
                                       : number(value.number).c_str());
        std::fprintf(file, "}");
    }
    std::fprintf(file, "],\n\"skipped\":[");
    for (size_t i = 0; i < skipped_.size(); i++)
        std::fprintf(file, "%s{\"suite\":%s,\"reason\":%s}", i == 0 ? "\n" : ",\n",
                     json_quoted(skipped_[i].first).c_str(),
                     json_quoted(skipped_[i].second).c_str());
    std::fprintf(file, "],\n\"targets\":[");
    for (size_t i = 0; i < targets_.size(); i++) {
        const Target &target = targets_[i];
        std::fprintf(file, "%s{\"name\":%s,\"value\":%s,\"%s\":%s,\"met\":%s}",
                     i == 0 ? "\n" : ",\n", json_quoted(target.name).c_str(),
                     number(target.value).c_str(), target.at_least ? "at_least" : "at_most",
                     number(target.bound).c_str(), target.met() ? "true" : "false");
    }
    std::fprintf(file, "]}\n");
}

} // namespace ds4::bench

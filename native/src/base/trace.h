// Named intermediates of the last step, for tests and dumps. A null pointer turns it off.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ds4 {

class Trace {
  public:
    void clear() { values_.clear(); }
    void put(const std::string &name, std::vector<float> values) {
        values_[name] = std::move(values);
    }
    void put(const char *name, int layer, const float *values, int64_t count) {
        put("layer" + std::to_string(layer) + "." + name,
            std::vector<float>(values, values + count));
    }
    const std::map<std::string, std::vector<float>> &values() const { return values_; }

  private:
    std::map<std::string, std::vector<float>> values_;
};

} // namespace ds4

// How this plugin's own refusals travel to the C interface.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pocket::tensorflow_engine {

/// A failure with the status to answer; the text is TensorFlow's own words, or the plugin's.
class Refusal : public std::runtime_error {
 public:
  Refusal(int32_t status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

}  // namespace pocket::tensorflow_engine

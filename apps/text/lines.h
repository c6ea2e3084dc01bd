// The lines of a text, and their tokens as the inputs of a BERT model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/inference.h"
#include "text/tokenizer.h"

namespace pocket::apps {

struct Line {
  size_t number;  // in the file, from 1
  std::string text;
};

/// The lines that are not blank, without their ends.
std::vector<Line> split_lines(std::string_view text);

/// Writes rows of tokens, padded to the longest of them, into the model's inputs, which are told by
/// their names: those of TensorFlow Hub's encoders or those of usual ONNX exports; int32 or int64.
/// std::runtime_error for a model with other inputs.
void write_tokens(Inference& inference, std::span<const Tokens> rows, int32_t padding);

}  // namespace pocket::apps

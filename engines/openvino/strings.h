// String tensors between docs/format-tensor.md (offsets, then bytes) and OpenVINO's std::string.
#pragma once

#include <openvino/openvino.hpp>

#include "pocket/engine.h"

namespace pocket::openvino_engine {

/// OpenVINO copies strings byte by byte in most operations, and then frees each of them twice.
/// Throws Refusal (UNIMPLEMENTED) that names the first operation on strings that is not one of the
/// safe ones.
void check_string_operations(const ov::Model& model);

/// Copies the strings; the host has checked the offsets.
ov::Tensor unpack_strings(const pocket_engine_input& input, const ov::Shape& shape);
uint64_t packed_string_bytes(const ov::Tensor& tensor);
void pack_strings(const ov::Tensor& tensor, void* data);

}  // namespace pocket::openvino_engine

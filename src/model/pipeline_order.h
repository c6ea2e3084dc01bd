// Which step of a pipeline comes after which.
#pragma once

#include <string>

#include "base/result.h"
#include "model/pipeline_file.h"

namespace pocket::model {

/// Sorts the steps so that each finds its tensors made, and keeps the file's order where that is
/// free. Errors as parse_pipeline says.
Result<void> put_in_order(PipelineFile& file, const std::string& path);

}  // namespace pocket::model

// Runs a planned pipeline once.
#pragma once

#include <span>

#include "plan.h"

namespace pocket::pipeline_engine {

/// Runs the steps one after the other and writes the outputs. CANCELLED, DEADLINE_EXCEEDED: between
/// two steps nobody waited any more. Failures name their step.
Result<void> run_plan(const Plan& plan, const pocket_engine_call& call,
                      std::span<const pocket_engine_input> inputs,
                      std::span<pocket_engine_output> outputs);

}  // namespace pocket::pipeline_engine

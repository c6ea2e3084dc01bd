// What a runner is told of a model that it shall load, and of the models that this one uses.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "daemon/config.h"
#include "model/repository.h"
#include "wire/control.h"

namespace pocket::daemon {

/// The engine that runs a model: what its files are for, else what the client wants, else what its
/// entry says, else the service's default.
std::string chosen_engine(const model::ModelSource& source, const std::string& wanted,
                          const Config& config);

/// Two entries with the same key are the same copy: same contents, engine and options, and the same
/// of all they use.
std::string copy_key(const model::ModelSource& source, const std::string& engine,
                     const std::string& digest, const Config& config);

/// The message, without the number of the model. `cache`: where the engines of the model's runner
/// keep what they compile; empty: nowhere.
wire::control::RunnerLoadT make_load(const model::ModelSource& source, const std::string& engine,
                                     const std::string& digest, const Config& config,
                                     const std::string& cache);

/// Opens a file for what each large enough model of the order need not hold in memory, and says so
/// in the order; what is given back goes with it. Where there is none the log says why, and the
/// models load without.
std::vector<UniqueFd> add_scratch(const model::ModelSource& source, const Config& config,
                                  wire::control::RunnerLoadT& load);

}  // namespace pocket::daemon

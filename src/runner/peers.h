// The models that another model of this runner may call, as an engine sees them.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pocket/engine.h"
#include "runner/model.h"

struct pocket_engine_peer {
  std::string name;
  std::shared_ptr<pocket::runner::RunnerModel> model;
};

namespace pocket::runner {

/// What pocket_engine_host offers to one model. Constant after construction; any thread.
class Peers {
 public:
  explicit Peers(std::vector<std::pair<std::string, std::shared_ptr<RunnerModel>>> models);
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  /// Lives as long as this object.
  const pocket_engine_host* host() const { return &host_; }
  void client_gone(uint64_t client) const;

 private:
  std::deque<pocket_engine_peer> peers_;  // their addresses stay
  pocket_engine_host host_;
};

}  // namespace pocket::runner

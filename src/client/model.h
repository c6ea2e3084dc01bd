// An open model: its description, and the channel that currently leads to it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "client/channel.h"
#include "client/session.h"

namespace pocket::client {

struct ModelOptions {
  std::string name;
  std::string version;
  std::string engine;
  uint64_t timeout_ns = 120'000'000'000;
  pocket_wait_mode wait_mode = POCKET_WAIT_ADAPTIVE;
};

/// Any thread. The description is constant: a model that came back with another one is refused.
class Model {
 public:
  static Result<std::unique_ptr<Model>> open(std::shared_ptr<Session> session,
                                             ModelOptions options);
  ~Model();

  /// The channel, opened anew when the runner or the service went away.
  /// Waits for that up to `timeout_ns`, and not longer than the options say.
  Result<std::shared_ptr<Channel>> channel(uint64_t timeout_ns = kForever);
  /// The channel as it is, working or not.
  std::shared_ptr<Channel> current_channel();

  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }
  const std::string& engine() const { return engine_; }
  const std::vector<wire::control::TensorInfoT>& inputs() const { return inputs_; }
  const std::vector<wire::control::TensorInfoT>& outputs() const { return outputs_; }
  /// What the model's entry says of it, by key; constant.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  Session& session() const { return *session_; }

  /// Makes every channel of this model, now and later, announce answers on its descriptor.
  void want_notify();

 private:
  Model(std::shared_ptr<Session> session, ModelOptions options)
      : session_(std::move(session)), options_(std::move(options)) {}
  Result<void> open_channel(uint64_t timeout_ns) POCKET_REQUIRES(mutex_);
  Result<void> use_channel(wire::control::OpenedT& answer, Reply& reply) POCKET_REQUIRES(mutex_);

  const std::shared_ptr<Session> session_;
  const ModelOptions options_;
  std::string name_, version_, engine_;
  std::vector<wire::control::TensorInfoT> inputs_, outputs_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  Mutex mutex_;
  std::shared_ptr<Channel> channel_ POCKET_GUARDED_BY(mutex_);
  bool notify_ POCKET_GUARDED_BY(mutex_) = false;
  bool close_told_ POCKET_GUARDED_BY(mutex_) = false;  // that channel_, which broke, is not used
};

}  // namespace pocket::client

// One pocket-runner process: started, spoken to, and reaped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/packet_link.h"

namespace pocket::daemon {

/// What a runner sees beside the engine's libraries. Plain data.
struct RunnerFiles {
  std::vector<std::string> shown;
  std::string writable;  // empty: nothing
};

/// Loop's thread only. Destroying it kills the process if it still runs.
class RunnerProcess {
 public:
  using Reply = std::function<void(Result<wire::control::MessageT>)>;
  using OnDeath = std::function<void(RunnerProcess& runner, const std::string& how)>;

  /// Starts the process; requests may be made at once. `on_death` is called once, from the loop,
  /// after every pending request has been answered with UNAVAILABLE.
  static Result<std::unique_ptr<RunnerProcess>> spawn(EventLoop& loop, const Config& config,
                                                      const std::string& engine, RunnerFiles files,
                                                      OnDeath on_death);
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  template <typename Table>
  void request(Table body, std::vector<UniqueFd> fds, Reply reply) {
    const uint64_t id = next_id_++;
    if (reply) replies_[id] = std::move(reply);
    link_->send(wire::encode_message(id, std::move(body)), std::move(fds));
  }

  /// Asks it to end; it is killed when it has not after `grace_ns`.
  void shut_down(uint64_t grace_ns);
  void kill();

  pid_t pid() const { return pid_; }
  const std::string& engine() const { return engine_; }
  bool shutting_down() const { return shutting_down_; }
  /// Whether it was started so that it sees the file or folder.
  bool sees(const std::string& path) const;
  /// Proportional memory of the process now, in bytes; 0 when it cannot be read.
  uint64_t memory_bytes() const;

 private:
  RunnerProcess(EventLoop& loop, std::string engine, RunnerFiles files, OnDeath on_death)
      : loop_(loop),
        engine_(std::move(engine)),
        files_(std::move(files)),
        on_death_(std::move(on_death)) {}
  void handle(wire::control::MessageT message);
  void reap();
  void kill_after(uint64_t grace_ns);

  EventLoop& loop_;
  std::string engine_;
  RunnerFiles files_;
  std::string last_words_;  // what it said of its end
  OnDeath on_death_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::unique_ptr<PacketLink> link_;
  std::unordered_map<uint64_t, Reply> replies_;
  uint64_t next_id_ = 1;
  bool shutting_down_ = false;
  EventLoop::TimerId kill_timer_ = 0;
};

}  // namespace pocket::daemon

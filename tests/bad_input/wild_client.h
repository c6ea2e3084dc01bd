// A client that knows the protocol and keeps none of its rules: right messages and calls, each with
// something wrong in it, in an order that a seed decides.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/mapping.h"
#include "raw_client.h"
#include "wire/layout.h"

namespace pocket::testing {

/// One thread.
class WildClient {
 public:
  WildClient(std::string socket, uint64_t seed) : socket_(std::move(socket)), random_(seed) {}
  /// One more thing that no client should do, or should do once only. A hung-up connection is made
  /// anew.
  void step();
  /// What it could do although nobody may; empty: nothing.
  const std::string& broken_rule() const { return broken_rule_; }
  uint64_t submitted() const { return submissions_; }
  uint64_t answered() const { return answers_; }

 private:
  struct Channel {
    uint32_t number = 0;
    UniqueFd request_fd, response_fd, doorbell, notify;
    Mapping request, response;
    uint64_t submitted = 0;
  };
  uint64_t below(uint64_t end) { return end == 0 ? 0 : random_() % end; }
  bool chance(uint64_t percent) { return below(100) < percent; }
  uint64_t odd_number(uint64_t near);
  void connect();
  void open();
  void say_something();
  void hear_something();
  void submit(Channel& channel);
  void write_block(Channel& channel, uint64_t offset);
  void spoil(std::byte* bytes, size_t size);
  void play_with_counters(Channel& channel);
  void play_with_descriptors(Channel& channel);
  wire::RequestHeader& header(Channel& channel) {
    return *reinterpret_cast<wire::RequestHeader*>(channel.request.data());
  }

  const std::string socket_;
  std::mt19937_64 random_;
  std::optional<RawClient> client_;
  std::vector<Channel> channels_;
  std::string broken_rule_;
  uint64_t submissions_ = 0;
  uint64_t answers_ = 0;
};

}  // namespace pocket::testing

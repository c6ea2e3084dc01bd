// A client that writes its rings and rings its bell by hand.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cstring>

#include "base/mapping.h"
#include "ipc/region.h"
#include "raw_client.h"
#include "wire/layout.h"

namespace pocket::testing {

/// One thread, but for ring().
class RingClient {
 public:
  explicit RingClient(RawClient client) : client_(std::move(client)) {
    wire::control::OpenModelT open;
    open.name = "echo";
    client_.say(std::move(open));
    auto packet = ipc::receive_packet_until(client_.fd(), deadline_after(20'000'000'000));
    const auto message = wire::decode_message(packet->bytes);
    const auto* opened = message->body.AsOpened();
    doorbell_ = std::move(packet->fds[2]);
    request_ =
        std::move(Mapping::map(packet->fds[0].get(), opened->request_bytes, MapAccess::kReadWrite))
            .value();
    response_ =
        std::move(Mapping::map(packet->fds[1].get(), opened->response_bytes, MapAccess::kReadOnly))
            .value();
  }
  /// Publishes `count` further submissions that are answered at once (an unknown handle).
  void submit(uint64_t count) {
    publish(count);
    ipc::ring_doorbell(doorbell_.get());
  }
  /// Likewise, without a ring of the bell.
  void publish(uint64_t count) {
    auto* slots = reinterpret_cast<wire::Submission*>(request_.data() + wire::kHeaderBytes);
    for (uint64_t index = 0; index < count; ++index) {
      wire::Submission submission{};
      submission.call_id = ++submitted_;
      submission.opcode = wire::Opcode::kReleaseHandle;
      submission.block_offset = 12345;
      std::memcpy(&slots[(submitted_ - 1) % wire::kRingSlots], &submission, sizeof(submission));
    }
    header()->submitted.store(submitted_);
  }
  wire::RequestHeader* header() const {
    return reinterpret_cast<wire::RequestHeader*>(request_.data());
  }
  const wire::ResponseHeader* answers() const {
    return reinterpret_cast<const wire::ResponseHeader*>(response_.data());
  }
  void ring() const { ipc::ring_doorbell(doorbell_.get()); }
  /// Makes whoever rings or reads the bell without care wait for this client.
  void fill_doorbell() const {
    constexpr eventfd_t kMost = UINT64_MAX - 1;
    eventfd_t rung = 0;
    ASSERT_EQ(::fcntl(doorbell_.get(), F_SETFL, 0), 0);
    pollfd bell{doorbell_.get(), POLLIN, 0};
    if (::poll(&bell, 1, 0) > 0) (void)::eventfd_read(doorbell_.get(), &rung);
    ASSERT_EQ(::eventfd_write(doorbell_.get(), kMost), 0);
  }
  void drain_doorbell() const {
    eventfd_t rung = 0;
    ASSERT_EQ(::fcntl(doorbell_.get(), F_SETFL, O_NONBLOCK), 0);
    ::eventfd_read(doorbell_.get(), &rung);
    ASSERT_EQ(::fcntl(doorbell_.get(), F_SETFL, 0), 0);
  }

 private:
  RawClient client_;
  UniqueFd doorbell_;
  Mapping request_;
  Mapping response_;
  uint64_t submitted_ = 0;
};

}  // namespace pocket::testing

#include "daemon/packet_link.h"

#include <sys/epoll.h>

namespace pocket::daemon {
namespace {

// Packets taken from one peer before others get their turn.
constexpr int kBurst = 16;

}  // namespace

PacketLink::~PacketLink() {
  *alive_ = false;
  stop_stall_timer();
  loop_.forget(socket_.get());
}

Result<void> PacketLink::start(OnMessage on_message, OnClosed on_closed) {
  on_message_ = std::move(on_message);
  on_closed_ = std::move(on_closed);
  POCKET_RETURN_IF_ERROR(
      loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t events) { handle(events); }));
  started_ = true;
  return ok_result();
}

void PacketLink::watch_again() {
  if (!started_ || closed_) return;
  const bool waiting = !outgoing_.empty();
  const uint32_t reading = waiting && limits_.answers_first ? 0U : uint32_t{EPOLLIN};
  loop_.change(socket_.get(), reading | (waiting ? uint32_t{EPOLLOUT} : 0U));
}

void PacketLink::start_stall_timer() {
  if (limits_.stall_ns == kForever) return;
  stop_stall_timer();
  stall_timer_ = loop_.after(limits_.stall_ns, [this] {
    stall_timer_ = 0;
    close(Error{POCKET_RESOURCE_EXHAUSTED, "the peer does not read its answers"});
  });
}

void PacketLink::stop_stall_timer() {
  if (stall_timer_ != 0) loop_.cancel(stall_timer_);
  stall_timer_ = 0;
}

void PacketLink::handle(uint32_t events) {
  const std::shared_ptr<bool> alive = alive_;
  // A peer that is gone shows in sending, also while nothing is read from it.
  const bool send_now = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && !outgoing_.empty();
  if (send_now && !flush()) return;
  if (*alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void PacketLink::receive_rest() {
  const std::shared_ptr<bool> alive = alive_;
  for (size_t count = 0; count < kMaxQueued && *alive && !closed_; count += kBurst) receive();
}

void PacketLink::receive() {
  const std::shared_ptr<bool> alive = alive_;
  const OnMessage on_message = on_message_;  // the callback may destroy this
  for (int count = 0; count < kBurst; ++count) {
    if (limits_.answers_first && !outgoing_.empty()) return;
    auto packet = ipc::receive_packet(socket_.get());
    if (!packet.ok()) {
      if (packet.error().code != POCKET_BUSY) close(packet.error());
      return;
    }
    if (packet->lost_fds) {
      close(Error{POCKET_RESOURCE_EXHAUSTED, "its descriptors found no free number here"});
      return;
    }
    auto message = wire::decode_message(packet->bytes);
    if (!message.ok()) {
      close(message.error());
      return;
    }
    on_message(std::move(message).value(), std::move(packet->fds));
    if (!*alive || closed_) return;
  }
}

void PacketLink::send(std::vector<uint8_t> packet, std::vector<UniqueFd> fds) {
  if (closed_) return;
  const bool idle = outgoing_.empty();
  outgoing_.push_back({std::move(packet), std::move(fds)});
  if (!idle) {
    if (outgoing_.size() > limits_.queued_packets) {
      loop_.post([this, alive = alive_] {
        if (*alive) close(Error{POCKET_RESOURCE_EXHAUSTED, "the peer does not read its answers"});
      });
    }
    return;
  }
  // A failure is reported from the loop: callers of send() must not find themselves destroyed.
  const Error* failure = nullptr;
  Outgoing& first = outgoing_.front();
  std::vector<int> raw;
  for (const auto& fd : first.fds) raw.push_back(fd.get());
  auto sent = ipc::send_packet(socket_.get(), first.bytes, raw);
  if (sent.ok()) {
    outgoing_.pop_front();
  } else if (sent.error().code == POCKET_BUSY) {
    watch_again();
    start_stall_timer();
  } else {
    failure = &sent.error();
  }
  if (failure != nullptr) {
    loop_.post([this, alive = alive_, reason = *failure] {
      if (*alive) close(reason);
    });
  }
}

bool PacketLink::flush() {
  while (!outgoing_.empty()) {
    std::vector<int> raw;
    for (const auto& fd : outgoing_.front().fds) raw.push_back(fd.get());
    auto sent = ipc::send_packet(socket_.get(), outgoing_.front().bytes, raw);
    if (!sent.ok() && sent.error().code == POCKET_BUSY) return true;
    if (!sent.ok()) {
      close(sent.error());
      return false;
    }
    outgoing_.pop_front();
    start_stall_timer();
  }
  stop_stall_timer();
  watch_again();
  return true;
}

void PacketLink::close(const Error& reason) {
  if (closed_) return;
  closed_ = true;
  stop_stall_timer();
  loop_.forget(socket_.get());
  const OnClosed on_closed = on_closed_;  // the callback may destroy this
  on_closed(reason);
}

}  // namespace pocket::daemon

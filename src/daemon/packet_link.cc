#include "daemon/packet_link.h"

#include <sys/epoll.h>

namespace pocket::daemon {
namespace {

// Packets taken from one peer before others get their turn.
constexpr int kBurst = 16;

}  // namespace

PacketLink::~PacketLink() {
  *alive_ = false;
  loop_.forget(socket_.get());
}

Result<void> PacketLink::start(OnMessage on_message, OnClosed on_closed) {
  on_message_ = std::move(on_message);
  on_closed_ = std::move(on_closed);
  return loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t events) { handle(events); });
}

void PacketLink::handle(uint32_t events) {
  const std::shared_ptr<bool> alive = alive_;
  if ((events & EPOLLOUT) != 0 && !flush()) return;
  if (*alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void PacketLink::receive() {
  const std::shared_ptr<bool> alive = alive_;
  const OnMessage on_message = on_message_;  // the callback may destroy this
  for (int count = 0; count < kBurst; ++count) {
    auto packet = ipc::receive_packet(socket_.get());
    if (!packet.ok()) {
      if (packet.error().code != POCKET_BUSY) close(packet.error());
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
    if (outgoing_.size() > kMaxQueued) {
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
    loop_.change(socket_.get(), EPOLLIN | EPOLLOUT);
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
  }
  loop_.change(socket_.get(), EPOLLIN);
  return true;
}

void PacketLink::close(const Error& reason) {
  if (closed_) return;
  closed_ = true;
  loop_.forget(socket_.get());
  const OnClosed on_closed = on_closed_;  // the callback may destroy this
  on_closed(reason);
}

}  // namespace pocket::daemon

#include "wild_client.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "ipc/region.h"

namespace pocket::testing {

namespace control = wire::control;

namespace {

constexpr uint64_t kAnswerNs = 20'000'000'000;
constexpr size_t kMostChannels = 6;

}  // namespace

/// Numbers at which a check may be wrong.
uint64_t WildClient::odd_number(uint64_t near) {
  switch (below(9)) {
    case 0:
      return 0;
    case 1:
      return UINT64_MAX;
    case 2:
      return UINT32_MAX;
    case 3:
      return uint64_t{1} << below(64);
    case 4:
      return near + 1;
    case 5:
      return near - 1;
    case 6:
      return near + 64;
    case 7:
      return random_();
    default:
      return below(1 << 20);
  }
}

void WildClient::connect() {
  channels_.clear();
  client_.reset();
  auto made = RawClient::greeted(socket_);
  if (made.ok()) client_.emplace(std::move(*made));
}

void WildClient::open() {
  control::OpenModelT open;
  open.name = chance(90) ? (chance(50) ? "echo" : "busy") : std::string(below(300), 'x');
  open.version = chance(90) ? "" : "9";
  open.engine = chance(95) ? "" : "../null";
  open.request_bytes = chance(70) ? 0 : odd_number(1 << 20);
  open.response_bytes = chance(70) ? 0 : odd_number(1 << 20);
  client_->say(std::move(open));
  while (true) {
    auto packet = ipc::receive_packet_until(client_->fd(), deadline_after(kAnswerNs));
    if (!packet.ok()) {
      client_.reset();
      return;
    }
    auto message = wire::decode_message(packet->bytes);
    if (!message.ok()) return;
    if (const auto* opened = message->body.AsOpened();
        opened != nullptr && packet->fds.size() == 4) {
      Channel channel;
      channel.number = opened->channel;
      channel.request_fd = std::move(packet->fds[0]);
      channel.response_fd = std::move(packet->fds[1]);
      channel.doorbell = std::move(packet->fds[2]);
      channel.notify = std::move(packet->fds[3]);
      auto request =
          Mapping::map(channel.request_fd.get(), opened->request_bytes, MapAccess::kReadWrite);
      auto response =
          Mapping::map(channel.response_fd.get(), opened->response_bytes, MapAccess::kReadOnly);
      if (!request.ok() || !response.ok()) return;
      channel.request = std::move(*request);
      channel.response = std::move(*response);
      channels_.push_back(std::move(channel));
      return;
    }
    if (message->body.AsFailed() != nullptr) return;
  }
}

void WildClient::say_something() {
  const uint32_t number =
      channels_.empty() || chance(30) ? static_cast<uint32_t>(odd_number(7)) : channels_[0].number;
  switch (below(10)) {
    case 0: {
      control::GrowChannelT grow;
      grow.channel = number;
      grow.request_bytes = odd_number(1 << 20);
      grow.response_bytes = odd_number(4096);
      client_->say(std::move(grow));
      break;
    }
    case 1: {
      control::CloseChannelT close;
      close.channel = number;
      client_->say(std::move(close));
      std::erase_if(channels_, [&](const Channel& channel) { return channel.number == number; });
      break;
    }
    case 2:
      client_->say(control::ListModelsT{});
      break;
    case 3:
      client_->say(control::GetLeasesT{});
      break;
    case 4: {
      control::HelloT again;
      again.version_min = again.version_max = static_cast<uint32_t>(odd_number(1));
      again.cpu_policy = std::string(below(100), ',');
      client_->say(std::move(again));
      break;
    }
    case 5: {  // what only pocketd may say, to a runner
      control::RunnerAttachT attach;
      attach.channel = number;
      client_->say(std::move(attach));
      break;
    }
    case 6: {  // an answer to nothing
      control::RunnerLoadedT loaded;
      loaded.model = number;
      client_->say(std::move(loaded));
      break;
    }
    case 7: {
      auto bytes = wire::encode_message(odd_number(1), control::GetStatusT{});
      spoil(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
      (void)ipc::send_packet(client_->fd(), bytes);
      break;
    }
    case 8: {
      control::LoadModelT load;
      load.name = chance(50) ? "busy" : "nothing";
      client_->say(std::move(load));
      break;
    }
    default:
      client_->say(control::GetStatusT{});
  }
}

/// What has come, without waiting; a client that never reads is another test's.
void WildClient::hear_something() {
  while (client_) {
    auto packet = ipc::receive_packet_until(client_->fd(), deadline_after(0));
    if (packet.ok()) continue;
    if (packet.error().code != POCKET_DEADLINE_EXCEEDED) client_.reset();
    return;
  }
}

/// Changes some of the bytes: whole words as a client would write them, or single bits.
void WildClient::spoil(std::byte* bytes, size_t size) {
  for (uint64_t count = below(4); count > 0 && size >= 8; --count) {
    std::byte* word = bytes + below(size / 8) * 8;
    uint64_t value = 0;
    std::memcpy(&value, word, 8);
    value = chance(50) ? odd_number(value) : value ^ uint64_t { 1 } << below(64);
    const size_t width = chance(50) ? 8 : 4;
    std::memcpy(word, &value, width);
  }
}

void WildClient::write_block(Channel& channel, uint64_t offset) {
  struct Block {
    wire::CallBlock head{};
    wire::TensorRecord input{};
    wire::TensorRecord output{};
  } block;
  block.head.input_count = block.head.output_count = 1;
  block.input.dtype = POCKET_FLOAT32;
  block.input.rank = 1;
  block.input.shape[0] = static_cast<int64_t>(below(2000));
  block.input.bytes = static_cast<uint64_t>(block.input.shape[0]) * 4;
  block.input.offset = wire::kArenaOffset + 4096 + below(64) * 4096;
  block.output.offset = wire::kArenaOffset + below(64) * 8192;
  block.output.bytes = chance(80) ? 8192 : 0;
  if (chance(10)) block.output.flags = wire::kTensorByHandle;
  if (chance(10)) {
    block.input.flags = wire::kTensorByHandle;
    block.input.handle = odd_number(1);
  }
  if (chance(60)) spoil(reinterpret_cast<std::byte*>(&block), sizeof(block));
  if (offset + sizeof(block) <= channel.request.size()) {
    std::memcpy(channel.request.data() + offset, &block, sizeof(block));
  }
}

void WildClient::submit(Channel& channel) {
  auto* slots = reinterpret_cast<wire::Submission*>(channel.request.data() + wire::kHeaderBytes);
  for (uint64_t count = 1 + below(20); count > 0; --count) {
    const uint64_t block = wire::kArenaOffset + below(8) * 512;
    if (chance(80)) write_block(channel, block);
    wire::Submission submission{};
    submission.call_id = chance(90) ? channel.submitted + 1 : below(4);
    submission.opcode = static_cast<wire::Opcode>(chance(80) ? 1 : below(6));
    submission.block_offset = block;
    submission.block_bytes = sizeof(wire::CallBlock) + 2 * sizeof(wire::TensorRecord);
    submission.deadline_ns = chance(70) ? UINT64_MAX : odd_number(0);
    submission.table_offset = wire::kArenaOffset + (512 << 10) + below(16) * 1024;
    submission.table_bytes = 1024;
    if (chance(30)) spoil(reinterpret_cast<std::byte*>(&submission), sizeof(submission));
    std::memcpy(&slots[channel.submitted % wire::kRingSlots], &submission, sizeof(submission));
    header(channel).submitted.store(++channel.submitted);
    ++submissions_;
  }
  ipc::ring_doorbell(channel.doorbell.get());
  // While the runner looks at it.
  if (chance(30)) write_block(channel, wire::kArenaOffset + below(8) * 512);
}

void WildClient::play_with_counters(Channel& channel) {
  const auto* answers = reinterpret_cast<const wire::ResponseHeader*>(channel.response.data());
  const uint64_t completed = answers->completed.load();
  answers_ = std::max(answers_, completed);
  switch (below(20)) {
    case 0:
      header(channel).submitted.store(odd_number(channel.submitted));
      break;
    case 1:
      header(channel).completions_taken.store(odd_number(completed));
      break;
    case 2:
      header(channel).client_parked.store(static_cast<uint32_t>(odd_number(1)));
      header(channel).client_wants_fd.store(static_cast<uint32_t>(odd_number(1)));
      break;
    default:
      header(channel).completions_taken.store(completed);
  }
}

void WildClient::play_with_descriptors(Channel& channel) {
  const int request = channel.request_fd.get();
  const int response = channel.response_fd.get();
  switch (below(7)) {
    case 0:  // its pages come back as zeros
      (void)::fallocate(request, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(below(64) * 4096), 65536);
      break;
    case 1:
      if (::ftruncate(request, 4096) == 0 || ::ftruncate(response, 4096) == 0) {
        broken_rule_ = "a region could be cut";
      }
      break;
    case 2: {
      void* writable = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, response, 0);
      if (writable != MAP_FAILED) {
        broken_rule_ = "the response region could be mapped for writing";
        ::munmap(writable, 4096);
      }
      break;
    }
    case 3:
      if (::pwrite(response, "x", 1, 0) == 1) broken_rule_ = "the response region was written";
      break;
    case 4:
      for (int ring = 0; ring < 1000; ++ring) ipc::ring_doorbell(channel.doorbell.get());
      break;
    case 5:
      (void)::fcntl(channel.doorbell.get(), F_SETFL, chance(50) ? 0 : O_NONBLOCK);
      break;
    default: {  // full, so that whoever rings it in a blocking way waits for ever
      const int flags = ::fcntl(channel.doorbell.get(), F_GETFL);
      (void)::fcntl(channel.doorbell.get(), F_SETFL, flags | O_NONBLOCK);
      (void)::eventfd_write(channel.doorbell.get(), UINT64_MAX - 1);
      (void)::fcntl(channel.doorbell.get(), F_SETFL, flags);
    }
  }
}

void WildClient::step() {
  if (!client_ || chance(1)) {
    connect();
    if (!client_) return;
  }
  if (channels_.size() < kMostChannels && (channels_.empty() || chance(2))) open();
  if (!client_) return;
  if (chance(20)) say_something();
  hear_something();
  if (channels_.empty()) return;
  Channel& channel = channels_[below(channels_.size())];
  const auto* answers = reinterpret_cast<const wire::ResponseHeader*>(channel.response.data());
  if (answers->state.load() == wire::kChannelBroken) {
    channels_.erase(channels_.begin() + (&channel - channels_.data()));
    return;
  }
  submit(channel);
  if (chance(50)) play_with_counters(channel);
  if (chance(20)) play_with_descriptors(channel);
}

}  // namespace pocket::testing

#include "client/model.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "client/retry.h"

namespace pocket::client {
namespace {

// Openings of a model that fail one after the other before the caller is told: a model that crashes
// its runner while it is loaded does not get better.
constexpr uint32_t kMostOpens = 3;
// How long a model that is not to be had now is waited for: longer than one is held back that
// crashed its runners (30 s).
constexpr uint64_t kBusyNs = 40 * kNanosecondsPerSecond;

namespace control = wire::control;

std::vector<control::TensorInfoT> unpack(
    std::vector<std::unique_ptr<control::TensorInfoT>>& infos) {
  std::vector<control::TensorInfoT> result;
  for (auto& info : infos) {
    info->shape.resize(static_cast<size_t>(std::clamp(info->rank, 0, POCKET_MAX_RANK)));
    result.push_back(std::move(*info));
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<Model>> Model::open(std::shared_ptr<Session> session, ModelOptions options) {
  std::unique_ptr<Model> model(new Model(std::move(session), std::move(options)));
  MutexLock lock(model->mutex_);
  Retry retry;
  retry.begin(std::min(deadline_after(model->options_.timeout_ns), deadline_after(kBusyNs)));
  while (true) {
    auto opened = model->open_channel(model->options_.timeout_ns);
    if (opened.ok()) return model;
    // Its runner died, or is held back for a moment.
    const auto pause = model->session_->retries() && retry.made() < kMostOpens
                           ? retry.pause_ns(opened.error(), model->session_->nobody_answers())
                           : std::nullopt;
    if (!pause) return std::move(opened).error();
    if (opened.error().code != POCKET_BUSY) retry.count();
    sleep_ns(*pause);
  }
}

Result<void> Model::open_channel(uint64_t timeout_ns) {
  control::OpenModelT wanted;
  wanted.name = options_.name;
  wanted.version = options_.version;
  wanted.engine = options_.engine;
  POCKET_ASSIGN_OR_RETURN(Reply reply, session_->request(std::move(wanted), timeout_ns));
  auto* opened = reply.message.body.AsOpened();
  if (opened == nullptr || (reply.fds.size() != 4 && !reply.lost_fds)) {
    return Error{POCKET_DATA_LOSS, "the service gave another answer than an open model"};
  }
  auto used = use_channel(*opened, reply);
  // What cannot be used here must not stay open there.
  if (!used.ok()) session_->close_channel(opened->channel);
  return used;
}

Result<void> Model::use_channel(control::OpenedT& answer, Reply& reply) {
  if (reply.lost_fds) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 "opening model '" + options_.name +
                     "': this process has no descriptor left: close some files or raise its limit "
                     "(`ulimit -n`)"};
  }
  control::OpenedT* opened = &answer;
  OpenedChannel parts;
  parts.id = opened->channel;
  parts.connection = session_->connection();
  for (size_t index = 0; index < 4; ++index) parts.fds[index] = std::move(reply.fds[index]);
  parts.request_bytes = opened->request_bytes;
  parts.response_bytes = opened->response_bytes;
  auto inputs = unpack(opened->inputs);
  auto outputs = unpack(opened->outputs);
  if (channel_ != nullptr && (!(inputs == inputs_) || !(outputs == outputs_))) {
    return Error{POCKET_FAILED_PRECONDITION,
                 "model '" + name_ + "' came back with other inputs or outputs: open it again"};
  }
  const bool first = channel_ == nullptr;
  auto channel = Channel::create(session_, std::move(parts), options_.wait_mode);
  if (!channel.ok()) {
    return std::move(channel).error().with_context("opening model '" + options_.name + "'");
  }
  channel_ = std::move(channel).value();
  close_told_ = false;
  if (notify_) channel_->notify_fd();
  if (!first) return ok_result();  // the description stays: other threads read it
  name_ = opened->name;
  version_ = opened->version;
  engine_ = opened->engine;
  inputs_ = std::move(inputs);
  outputs_ = std::move(outputs);
  for (auto& pair : opened->metadata) {
    metadata_.emplace_back(std::move(pair->key), std::move(pair->value));
  }
  return ok_result();
}

Model::~Model() {
  if (channel_ == nullptr || channel_->connection() != session_->connection()) return;
  if (!session_->check_process().ok()) {
    // The child of a fork: the mappings are the parent's, and its channel is in use.
    new std::shared_ptr<Channel>(std::move(channel_));
    return;
  }
  control::CloseChannelT close;
  close.channel = channel_->id();
  (void)session_->request(std::move(close), 5 * kNanosecondsPerSecond, /*reconnect=*/false);
}

std::shared_ptr<Channel> Model::current_channel() {
  MutexLock lock(mutex_);
  return channel_;
}

Result<std::shared_ptr<Channel>> Model::channel(uint64_t timeout_ns) {
  POCKET_RETURN_IF_ERROR(session_->check_process());
  MutexLock lock(mutex_);
  if (channel_->broken()) {
    if (channel_->connection() == session_->connection()) {
      // Once: opening may take several attempts.
      if (!std::exchange(close_told_, true)) session_->close_channel(channel_->id());
    }
    POCKET_RETURN_IF_ERROR(open_channel(std::min(timeout_ns, options_.timeout_ns)));
  }
  return channel_;
}

void Model::want_notify() {
  MutexLock lock(mutex_);
  notify_ = true;
  channel_->notify_fd();
}

}  // namespace pocket::client

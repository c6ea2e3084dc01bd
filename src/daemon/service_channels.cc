// Opening, growing and closing of channels.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/checked.h"
#include "daemon/descriptors.h"
#include "daemon/service.h"
#include "daemon/views.h"
#include "ipc/region.h"
#include "wire/layout.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

constexpr uint64_t kSmallestRegion = uint64_t{1} << 20;

/// Room for a few calls in flight with the model's fixed-size tensors. Pages that are never touched
/// cost nothing, so generous is cheap.
uint64_t default_region_bytes(const std::vector<control::TensorInfoT>& tensors) {
  uint64_t sum = 0;
  for (const auto& tensor : tensors) {
    const auto bytes = tensor.rank < 0 ? std::nullopt : tensor_bytes(tensor.dtype, tensor.shape);
    sum = checked_add(sum, bytes.value_or(0)).value_or(0);
  }
  const uint64_t wanted = checked_multiply(sum, 4).value_or(0);
  return wire::kArenaOffset + std::max(kSmallestRegion, std::min(wanted, uint64_t{64} << 20));
}

std::vector<std::unique_ptr<control::TensorInfoT>> share(
    const std::vector<control::TensorInfoT>& from) {
  std::vector<std::unique_ptr<control::TensorInfoT>> infos;
  for (const auto& info : from) infos.push_back(std::make_unique<control::TensorInfoT>(info));
  return infos;
}

/// Bytes of a region that was asked for with so many; at most UINT64_MAX.
uint64_t whole_pages(uint64_t bytes) { return checked_align_up(bytes, 4096).value_or(bytes); }

std::vector<UniqueFd> descriptors(UniqueFd first, UniqueFd second) {
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(first));
  fds.push_back(std::move(second));
  return fds;
}

}  // namespace

Result<void> Service::check_budget(const Session& session, uint64_t request_bytes,
                                   uint64_t response_bytes) const {
  if (std::max(request_bytes, response_bytes) > config_.region_bytes) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("a region of {} bytes is over the limit of {} (limits.region_bytes)",
                             std::max(request_bytes, response_bytes), config_.region_bytes)};
  }
  if (request_bytes + response_bytes >
      config_.session_bytes - std::min(session.bytes, config_.session_bytes)) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("{} bytes more of shared memory pass this client's limit of {} "
                             "(limits.session_bytes); {} are in use",
                             request_bytes + response_bytes, config_.session_bytes, session.bytes)};
  }
  return ok_result();
}

Result<void> Service::check_pending(const Session& session) const {
  if (session.pending < config_.channels_per_session) return ok_result();
  return Error{POCKET_BUSY,
               fmt::format("{} requests of this session wait for their models: wait for one",
                           session.pending)};
}

void Service::open_model(Session& session, uint64_t request, const control::OpenModelT& open) {
  if (session.channels.size() + session.pending >= config_.channels_per_session) {
    refuse(
        session.id, request,
        Error{POCKET_RESOURCE_EXHAUSTED,
              fmt::format("{} models are open in this session and {} are being opened; the limit "
                          "is {} (limits.channels_per_session): close some, or raise it",
                          session.channels.size(), session.pending, config_.channels_per_session)});
    return;
  }
  auto allowed = check_model(session, open.name, open.version);
  auto share =
      allowed.ok() ? TenantShare::of_channel(session.member) : Result<TenantShare>(allowed.error());
  if (!share.ok()) {
    refuse(session.id, request, share.error());
    return;
  }
  session.pending += 1;
  auto kept = std::make_shared<TenantShare>(std::move(*share));
  models_.open(open.name, open.version, open.engine,
               [this, id = session.id, request, open, kept](Result<OpenedModel> model) {
                 Session* target = find(id);
                 if (target == nullptr) return;
                 if (model.ok()) {
                   make_channel(id, request, open, std::move(*model), std::move(*kept));
                 } else {
                   target->pending -= 1;
                   refuse(id, request, model.error());
                 }
               });
}

Result<void> Service::check_runner(const RunnerProcess& runner) const {
  constexpr uint64_t kDescriptorsOfChannel = 2;  // doorbell and notify socket
  const uint64_t channels = models_.channels_of(runner);
  const uint64_t limit = descriptor_limit();
  if ((channels + 1) * kDescriptorsOfChannel + kReservedDescriptors < limit) return ok_result();
  return Error{POCKET_RESOURCE_EXHAUSTED,
               fmt::format("the runner of the model serves {} clients and may have {} file "
                           "descriptors: close some clients, or raise the limit of pocketd "
                           "(`ulimit -n`, LimitNOFILE=) and restart it",
                           channels, limit)};
}

void Service::make_channel(uint64_t id, uint64_t request, const control::OpenModelT& open,
                           OpenedModel opened, TenantShare share) {
  Session& session = *find(id);
  LoadedModel& model = *opened.model;
  const auto refuse_it = [&](const Error& error) {
    session.pending -= 1;
    refuse(id, request, error);
  };
  const uint64_t request_bytes =
      open.request_bytes == 0 ? default_region_bytes(model.inputs)
                              : std::max(open.request_bytes, wire::kArenaOffset + kSmallestRegion);
  const uint64_t response_bytes =
      open.response_bytes == 0
          ? default_region_bytes(model.outputs)
          : std::max(open.response_bytes, wire::kArenaOffset + kSmallestRegion);
  auto fits = check_budget(session, request_bytes, response_bytes);
  if (fits.ok()) fits = models_.check_client(client_of(session), model);
  if (fits.ok()) fits = check_runner(*model.runner);
  if (fits.ok()) {
    fits = share.add_bytes(whole_pages(request_bytes) + whole_pages(response_bytes));
  }
  if (!fits.ok()) {
    refuse_it(fits.error());
    return;
  }
  auto parts = create_channel(request_bytes, response_bytes);
  if (!parts.ok()) {
    refuse_it(parts.error());
    return;
  }
  auto response = duplicate(parts->regions.response);
  auto doorbell = duplicate(parts->doorbell);
  if (!response.ok() || !doorbell.ok()) {
    refuse_it(response.ok() ? doorbell.error() : response.error());
    return;
  }
  auto channel = std::make_unique<Channel>();
  channel->id = survival_.state.next_channel();
  channel->session = id;
  channel->model = &model;
  channel->runner = model.runner;
  channel->bytes = parts->regions.request_bytes + parts->regions.response_bytes;
  channel->response_header = std::move(parts->response_header);
  channel->share = std::move(share);
  channel->model_name = opened.source.name;
  channel->model_version = opened.source.version;
  session.bytes += channel->bytes;
  models_.use(model, +1);

  control::RunnerAttachT attach;
  attach.channel = channel->id;
  attach.session = id;
  attach.model = model.id;
  attach.request_bytes = parts->regions.request_bytes;
  attach.response_bytes = parts->regions.response_bytes;
  describe(*session.member.tenant, attach);
  attach.slot = lending_.attach(id, session.peer, session.name, session.policies, *model.runner);
  std::vector<UniqueFd> fds =
      descriptors(std::move(parts->regions.request_read_only), std::move(*response));
  fds.push_back(std::move(*doorbell));
  fds.push_back(std::move(parts->notify_runner));
  RunnerProcess* runner = model.runner;
  auto shared_parts = std::make_shared<ChannelParts>(std::move(*parts));
  auto shared_channel = std::make_shared<std::unique_ptr<Channel>>(std::move(channel));
  runner->request(std::move(attach), std::move(fds),
                  [this, id, request, shared_parts, shared_channel,
                   source = std::move(opened.source)](Result<control::MessageT> reply) {
                    finish_channel(id, request, std::move(*shared_channel),
                                   std::move(*shared_parts), source, reply);
                  });
}

void Service::finish_channel(uint64_t id, uint64_t request, std::unique_ptr<Channel> channel,
                             ChannelParts parts, const model::ModelSource& source,
                             const Result<control::MessageT>& reply) {
  Session* session = find(id);
  if (session != nullptr) session->pending -= 1;
  if (!reply.ok() || session == nullptr) {
    if (session != nullptr) session->bytes -= channel->bytes;
    if (!reply.ok()) {
      lending_.detach(id, channel->runner);
      models_.use(*channel->model, -1);
      if (session != nullptr) refuse(id, request, reply.error());
    } else {
      detach(*channel, nullptr);
    }
    return;
  }
  // The runner has its writable mapping; from here on nobody gets another one.
  if (auto sealed = ipc::seal_against_new_writers(parts.regions.response.get()); !sealed.ok()) {
    session->bytes -= channel->bytes;
    detach(*channel, nullptr);
    refuse(id, request, sealed.error());
    return;
  }
  const LoadedModel& model = *channel->model;
  control::OpenedT opened;
  opened.channel = channel->id;
  opened.name = source.name;  // as this client calls it: others may share the copy
  opened.version = source.version;
  opened.engine = model.engine;
  opened.inputs = share(model.inputs);
  opened.outputs = share(model.outputs);
  if (auto metadata = model::read_metadata(source); metadata.ok()) {
    for (auto& [key, value] : *metadata) {
      auto option = std::make_unique<control::OptionT>();
      option->key = std::move(key);
      option->value = std::move(value);
      opened.metadata.push_back(std::move(option));
    }
  } else {
    spdlog::warn("model '{}': {}", source.name, metadata.error().message);
  }
  opened.request_bytes = parts.regions.request_bytes;
  opened.response_bytes = parts.regions.response_bytes;
  std::vector<UniqueFd> fds =
      descriptors(std::move(parts.regions.request), std::move(parts.regions.response));
  fds.push_back(std::move(parts.doorbell));
  fds.push_back(std::move(parts.notify_client));
  session->channels[channel->id] = std::move(channel);
  answer(id, request, std::move(opened), std::move(fds));
}

void Service::grow_channel(Session& session, uint64_t request, const control::GrowChannelT& grow) {
  const auto found = session.channels.find(grow.channel);
  if (found == session.channels.end() || found->second->runner == nullptr) {
    refuse(session.id, request,
           Error{POCKET_UNAVAILABLE, fmt::format("channel {} is not open", grow.channel)});
    return;
  }
  Channel& channel = *found->second;
  if (channel.regions >= wire::kMaxRegions) {
    refuse(
        session.id, request,
        Error{POCKET_RESOURCE_EXHAUSTED, fmt::format("the channel has {} regions, the most there "
                                                     "can be: open the model anew",
                                                     channel.regions)});
    return;
  }
  const uint64_t request_bytes = std::max(grow.request_bytes, uint64_t{4096});
  const uint64_t response_bytes = std::max(grow.response_bytes, uint64_t{4096});
  auto fits = check_budget(session, request_bytes, response_bytes);
  // Whole pages, as the regions will have.
  const uint64_t bytes = whole_pages(request_bytes) + whole_pages(response_bytes);
  if (fits.ok()) fits = channel.share.add_bytes(bytes);
  auto regions =
      fits.ok() ? create_regions(request_bytes, response_bytes) : Result<RegionPair>(fits.error());
  auto response = regions.ok() ? duplicate(regions->response) : Result<UniqueFd>(regions.error());
  if (!response.ok()) {
    if (fits.ok()) channel.share.remove_bytes(bytes);
    refuse(session.id, request, response.error());
    return;
  }
  channel.bytes += bytes;
  session.bytes += bytes;
  control::RunnerGrowT attach;
  attach.channel = channel.id;
  attach.region = channel.regions++;
  attach.request_bytes = regions->request_bytes;
  attach.response_bytes = regions->response_bytes;
  control::GrownT grown;
  grown.region = attach.region;
  grown.request_bytes = regions->request_bytes;
  grown.response_bytes = regions->response_bytes;
  auto fds = descriptors(std::move(regions->request_read_only), std::move(*response));
  auto pair = std::make_shared<RegionPair>(std::move(*regions));
  channel.runner->request(
      std::move(attach), std::move(fds),
      [this, id = session.id, request, number = channel.id, bytes, pair,
       grown](Result<control::MessageT> reply) {
        if (!reply.ok()) take_back_growth(id, number, bytes);
        auto sealed = reply.ok() ? ipc::seal_against_new_writers(pair->response.get())
                                 : Result<void>(reply.error());
        if (!sealed.ok()) {
          refuse(id, request, sealed.error());
          return;
        }
        answer(id, request, grown,
               descriptors(std::move(pair->request), std::move(pair->response)));
      });
}

/// The runner did not take a region: it waits for the same number again.
void Service::take_back_growth(uint64_t id, uint32_t number, uint64_t bytes) {
  Session* session = find(id);
  if (session == nullptr) return;
  const auto found = session->channels.find(number);
  if (found == session->channels.end()) return;
  found->second->regions -= 1;
  found->second->bytes -= bytes;
  found->second->share.remove_bytes(bytes);
  session->bytes -= bytes;
}

void Service::close_channel(Session& session, uint64_t request, uint32_t number) {
  const auto found = session.channels.find(number);
  if (found == session.channels.end()) {
    refuse(session.id, request,
           Error{POCKET_NOT_FOUND, fmt::format("this session has no channel {}", number)});
    return;
  }
  const std::unique_ptr<Channel> channel = std::move(found->second);
  session.channels.erase(found);
  session.bytes -= channel->bytes;
  detach(*channel, [this, id = session.id, request] { answer(id, request, control::DoneT{}); });
}

void Service::detach(Channel& channel, std::function<void()> done) {
  if (channel.model == nullptr || channel.runner == nullptr) {
    if (done) done();
    return;
  }
  lending_.detach(channel.session, channel.runner);
  control::RunnerDetachT detach;
  detach.channel = channel.id;
  detach.tell = !channel.response_header.valid();
  LoadedModel* model = channel.model;
  channel.runner->request(std::move(detach), {},
                          [this, model, done = std::move(done)](const Result<control::MessageT>&) {
                            models_.use(*model, -1);
                            if (done) done();
                          });
  channel.runner = nullptr;
  channel.model = nullptr;
}

}  // namespace pocket::daemon

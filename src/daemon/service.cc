#include "daemon/service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "daemon/protections.h"
#include "daemon/views.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

/// A client's name as it may appear in a log: short, and without anything that could fake a line.
std::string printable(const std::string& name) {
  std::string text = name.substr(0, 64);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

Service::Service(EventLoop& loop, Config& config, Survival& survival, ReadConfig read_config)
    : loop_(loop),
      config_(config),
      survival_(survival),
      read_config_(std::move(read_config)),
      audit_(loop),
      tenants_(config.access),
      lending_(loop, config, survival),
      models_(
          loop, config, lending_, survival,
          [this](RunnerProcess& runner, const std::string& how) { runner_died(runner, how); },
          [this](uint32_t channel) { return client_of_channel(channel); }),
      started_ns_(monotonic_ns()) {
  models_.on_refusals([this](const control::RunnerRefusalsT& refusals) { audit_calls(refusals); });
}

Service::~Service() {
  for (auto& listener : listeners_) stop_listening(*listener);
}

Result<void> Service::start(std::function<void()> on_ready) {
  on_ready_ = std::move(on_ready);
  POCKET_ASSIGN_OR_RETURN(auto trail, Audit::open(config_.log));
  audit_.use(std::move(trail), config_.log);
  std::error_code ignored;
  if (!std::filesystem::is_directory(config_.models, ignored)) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("there is no models folder '{}': make it, or name another one with "
                             "--models or service.models",
                             config_.models)};
  }
  POCKET_ASSIGN_OR_RETURN(protection_notes_, check_protections(config_));
  spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  POCKET_ASSIGN_OR_RETURN(auto own, listen(config_.socket, config_.socket_mode, std::nullopt));
  listeners_.push_back(std::move(own));
  for (const SocketConfig& socket : config_.access.sockets) {
    POCKET_ASSIGN_OR_RETURN(auto further, listen(socket.path, socket.mode, socket.group));
    listeners_.push_back(std::move(further));
  }
  models_.adopt(
      [this](std::vector<Models::AdoptedChannel> channels) { take_over(std::move(channels)); });
  return ok_result();
}

void Service::preload() {
  preloads_left_ = config_.preload.size();
  if (preloads_left_ == 0) become_ready();
  for (const auto& name : config_.preload) {
    models_.open(name, "", "", [this, name](Result<OpenedModel> model) {
      if (!model.ok() && survival_.state.generation() > 1) {
        // Clients and runners are there already: they go on.
        spdlog::error("preloading: {}", model.error().message);
        if (--preloads_left_ == 0) become_ready();
      } else if (!model.ok()) {
        failure_ = fmt::format("preloading: {}", model.error().message);
        shut_down();
      } else if (--preloads_left_ == 0) {
        become_ready();
      }
    });
  }
}

void Service::become_ready() {
  ready_ = true;
  spdlog::info("ready on {} with models from {}", config_.socket, config_.models);
  if (on_ready_) on_ready_();
}

void Service::shut_down() {
  if (stopping_) return;
  stopping_ = true;
  spdlog::info("shutting down");
  for (auto& listener : listeners_) stop_listening(*listener);
  listeners_.clear();
  // Nothing is left to the next pocketd.
  for (const char* name : {"state", "bell"}) survival_.keeper.drop(name);
  const auto grace = static_cast<uint64_t>(config_.drain_seconds * 1e9);
  models_.shut_down(grace, [this] { loop_.post([this] { loop_.stop(); }); });
}

Service::Session* Service::find(uint64_t session) {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void Service::send(uint64_t session, uint64_t request, std::vector<uint8_t> packet,
                   std::vector<UniqueFd> fds) {
  Session* target = find(session);
  if (target == nullptr) return;
  if (packet.size() > ipc::kMaxControlBytes) {
    refuse(session, request,
           Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("the answer has {} bytes, more than the {} of a control message: "
                             "shorten the labels or metadata of the model, or have fewer models",
                             packet.size(), ipc::kMaxControlBytes)});
    return;
  }
  target->link->send(std::move(packet), std::move(fds));
}

void Service::refuse(uint64_t session, uint64_t request, const Error& error) {
  Session* target = find(session);
  if (target != nullptr && error.code == POCKET_PERMISSION_DENIED) {
    target->member.tenant->refusals += 1;
  }
  if (target != nullptr) audit_failure(*target, request, error);
  control::FailedT failed;
  failed.status = error.code;
  failed.message = error.message;
  failed.retry_after_us = error.retry_after_ns / 1000;
  if (target != nullptr && !target->member.administrator) {
    failed.message = without_folders(error.message);
    if (failed.message != error.message) spdlog::info("session {}: {}", session, error.message);
  }
  answer(session, request, std::move(failed));
}

void Service::end_session(uint64_t id, const Error& reason) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  // The link is on the stack of its own callback: freed from the loop.
  auto session = std::make_shared<std::unique_ptr<Session>>(std::move(found->second));
  sessions_.erase(found);
  survival_.state.forget(id);
  survival_.keeper.drop(session_name(id));
  if ((*session)->greeting_timer != 0) loop_.cancel((*session)->greeting_timer);
  audit_end(**session, reason);
  for (auto& [number, channel] : (*session)->channels) detach(*channel, nullptr);
  loop_.post([session] {});
}

void Service::handle(Session& session, control::MessageT message) {
  const uint64_t request = message.id;
  session.asked_id = request;
  session.asked = message.body.type;
  if (const auto* hello = message.body.AsHello()) {
    greet(session, request, *hello);
  } else if (!session.greeted) {
    const Error error{POCKET_FAILED_PRECONDITION, "the first message must be Hello"};
    refuse(session.id, request, error);
    end_session(session.id, error);
  } else if (const auto* open = message.body.AsOpenModel()) {
    open_model(session, request, *open);
  } else if (const auto* grow = message.body.AsGrowChannel()) {
    grow_channel(session, request, *grow);
  } else if (const auto* close = message.body.AsCloseChannel()) {
    close_channel(session, request, close->channel);
  } else {
    handle_admin(session, request, message);
  }
}

void Service::greet(Session& session, uint64_t request, const control::HelloT& hello) {
  const uint32_t version = std::min(hello.version_max, wire::kProtocolVersionMax);
  if (version < hello.version_min || version < wire::kProtocolVersionMin) {
    const Error error{
        POCKET_VERSION_MISMATCH,
        fmt::format(
            "the client speaks protocol versions {} to {}, this service {} ({} to {}): update "
            "{}",
            hello.version_min, hello.version_max, POCKET_VERSION_TEXT, wire::kProtocolVersionMin,
            wire::kProtocolVersionMax,
            hello.version_min > wire::kProtocolVersionMax ? "the service" : "the client")};
    refuse(session.id, request, error);
    end_session(session.id, error);
    return;
  }
  if (auto accepted = accept_hello(session, hello); !accepted.ok()) {
    refuse(session.id, request, accepted.error());
    end_session(session.id, accepted.error());
    return;
  }
  if (survival_.keeper.keeps() &&
      survival_.state.save(session.id, wire::encode_message(0, hello))) {
    survival_.keeper.keep(session_name(session.id), session.link->socket());
  }
  control::WelcomeT welcome;
  welcome.version = version;
  welcome.service_version = POCKET_VERSION_TEXT;
  welcome.session = session.id;
  answer(session.id, request, std::move(welcome));
}

/// What a client says of itself; also when it said it to an earlier pocketd.
Result<void> Service::accept_hello(Session& session, const control::HelloT& hello) {
  POCKET_ASSIGN_OR_RETURN(session.policies, lending_.policies(hello.cpu_policy, hello.mem_policy));
  session.greeted = true;
  if (session.greeting_timer != 0) loop_.cancel(session.greeting_timer);
  session.greeting_timer = 0;
  session.name = printable(hello.client_name);
  return ok_result();
}

void Service::runner_died(RunnerProcess& runner, const std::string& how) {
  for (auto& [id, session] : sessions_) {
    for (auto& [number, channel] : session->channels) {
      if (channel->runner != &runner) continue;
      lending_.detach(id, channel->runner);
      channel->runner = nullptr;
      if (channel->model != nullptr) models_.use(*channel->model, -1);
      channel->model = nullptr;
      mark_broken(channel->response_header);
      control::ChannelBrokenT broken;
      broken.channel = number;
      broken.message = fmt::format("the runner of the model {}", how);
      session->link->send(wire::encode_message(0, std::move(broken)));
    }
  }
}

}  // namespace pocket::daemon

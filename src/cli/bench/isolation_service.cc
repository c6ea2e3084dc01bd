#include "cli/bench/isolation_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/admin.h"
#include "pocket/pocket.hpp"
#include "sandbox/settings.h"

namespace pocket::cli {
namespace {

constexpr int kWarmUpCalls = 100;
constexpr uint64_t kPatienceNs = 20 * kNanosecondsPerSecond;

/// An application with the null model open.
struct Application {
  explicit Application(const std::string& socket)
      : session({.socket = socket, .wait_mode = POCKET_WAIT_SPIN}),
        model(session, "null"),
        call(model) {
    call.input<float>(0, {1})[0] = 1;
  }
  Session session;
  Model model;
  Call call;
};

template <typename Body>
auto caught(Body body) -> Result<decltype(body())> {
  try {
    return body();
  } catch (const StatusError& error) {
    return Error{static_cast<pocket_status>(error.status()), error.what()};
  }
}

double milliseconds_since(uint64_t start_ns) {
  return static_cast<double>(monotonic_ns() - start_ns) / 1e6;
}

}  // namespace

std::string isolation_config(const IsolationCell& cell) {
  if (cell.mechanism == "all") {
    return fmt::format("[sandbox]\nall = '{}'\n", cell.on ? "auto" : "off");
  }
  return fmt::format("[sandbox]\nall = '{}'\n{} = '{}'\n", cell.on ? "off" : "auto", cell.mechanism,
                     cell.on ? "auto" : "off");
}

Result<std::unique_ptr<IsolationService>> IsolationService::start(const IsolationCell& cell) {
  std::unique_ptr<IsolationService> result(new IsolationService(cell));
  POCKET_ASSIGN_OR_RETURN(result->service_, LocalService::create());
  POCKET_RETURN_IF_ERROR(
      result->service_->add_null_model("null",
                                       "mode = 'none'\n[[inputs]]\nname = 'x'\nshape = "
                                       "[1]\n[[outputs]]\nname = 'y'\nshape = [1]\n"));
  POCKET_ASSIGN_OR_RETURN(const std::string config,
                          result->service_->write_config(isolation_config(cell)));
  // What the machine does not give is in the report, once.
  POCKET_RETURN_IF_ERROR(result->service_->start({"--config", config, "--log-level", "error"}));
  POCKET_ASSIGN_OR_RETURN(auto session, connect(result->service_->socket()));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  result->notes_ = status.notes;
  return result;
}

Result<std::vector<double>> IsolationService::calls(int count) {
  return caught([&] {
    Application application(service_->socket());
    std::vector<double> times;
    for (int turn = 0; turn < count + kWarmUpCalls; ++turn) {
      const uint64_t start = monotonic_ns();
      application.call.run();
      if (turn >= kWarmUpCalls) times.push_back(milliseconds_since(start));
    }
    return times;
  });
}

Result<double> IsolationService::cold_start() {
  POCKET_RETURN_IF_ERROR(unload());
  return caught([&] {
    const uint64_t start = monotonic_ns();
    Application application(service_->socket());
    application.call.run();
    return milliseconds_since(start);
  });
}

/// Until no runner is left: the last client may still be leaving.
Result<void> IsolationService::unload() {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(service_->socket()));
  const uint64_t end = deadline_after(kPatienceNs);
  while (true) {
    auto unloaded = unload_model(*session, "null", "", "");
    if (!unloaded.ok() && unloaded.error().code != POCKET_NOT_FOUND &&
        unloaded.error().code != POCKET_FAILED_PRECONDITION) {
      return unloaded;
    }
    POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
    if (status.runners.empty()) return ok_result();
    if (monotonic_ns() > end) {
      return Error{POCKET_DEADLINE_EXCEEDED, "a runner of the benchmark does not end"};
    }
    ::usleep(500);
  }
}

}  // namespace pocket::cli

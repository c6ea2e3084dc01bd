// Groups and boards of runners, started here or taken over.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "daemon/lending.h"
#include "daemon/processors.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;
using cgroup::Controller;

constexpr int64_t kPeriodUs = 100'000;

/// Tries twice: another service that has just ended may have taken the empty group above along.
Result<cgroup::OwnedGroup> create(const cgroup::Host& host, const std::string& name,
                                  const std::vector<Controller>& controllers) {
  auto created = host.create(name, controllers);
  return created.ok() ? std::move(created) : host.create(name, controllers);
}

}  // namespace

std::vector<Controller> Lending::limited() const {
  std::vector<Controller> controllers;
  if (config_.cpus > 0 && host_.why_not(Controller::kCpu).empty()) {
    controllers.push_back(Controller::kCpu);
  }
  if (config_.memory > 0 && host_.why_not(Controller::kMemory).empty()) {
    controllers.push_back(Controller::kMemory);
  }
  return controllers;
}

bool Lending::divides_processors() const {
  const std::vector<Controller> controllers = limited();
  return std::ranges::find(controllers, Controller::kCpu) != controllers.end();
}

Result<void> Lending::limit(Borrower& borrower, pid_t pid, bool adopted) {
  const std::vector<Controller> controllers = limited();
  if (controllers.empty()) return ok_result();
  const std::string name = fmt::format("{}/runner-{}", parent(), borrower.id);
  POCKET_ASSIGN_OR_RETURN(cgroup::OwnedGroup group, adopted ? host_.adopt(name, controllers)
                                                            : create(host_, name, controllers));
  // Those of an adopted group are the ledger's to put back.
  if (group.has(Controller::kCpu) && !adopted) {
    const auto quota = static_cast<int64_t>(std::llround(config_.cpus * kPeriodUs));
    POCKET_RETURN_IF_ERROR(
        group.cpu().set_cpu_limit({std::max(quota, cgroup::kSmallestQuotaUs), kPeriodUs}));
  }
  if (group.has(Controller::kMemory) && !adopted) {
    POCKET_RETURN_IF_ERROR(group.memory().set_memory_limit(static_cast<int64_t>(config_.memory)));
  }
  if (group.has(Controller::kCpu)) borrower.cpu_group = group.cpu().path();
  if (group.has(Controller::kMemory)) borrower.memory_group = group.memory().path();
  if (!adopted) POCKET_RETURN_IF_ERROR(group.add(pid));
  borrower.group = std::make_unique<cgroup::OwnedGroup>(std::move(group));
  return ok_result();
}

void Lending::runner_started(RunnerProcess& runner) {
  if (config_.cpus <= 0 && config_.memory == 0) return;
  Borrower& borrower = borrowers_[&runner];
  borrower.id = runner.number();
  if (auto limited = limit(borrower, runner.pid(), /*adopted=*/false); !limited.ok()) {
    borrower.cpu_group.clear();
    borrower.memory_group.clear();
    note(fmt::format("runner {} has no budget and borrows nothing: {}", runner.pid(),
                     limited.error().message));
  }
  auto board = Board::create();
  auto memory = board.ok() ? (*board)->duplicate() : Result<UniqueFd>(board.error());
  auto bell = lender_ == nullptr ? Result<UniqueFd>(UniqueFd()) : lender_->duplicate_bell();
  if (lender_ == nullptr || !memory.ok() || !bell.ok() || borrower.group == nullptr) return;
  borrower.board = std::move(*board);
  add_borrower(borrower, runner.pid());
  survival_.keeper.keep(RunnerProcess::kept_name(runner.number(), "board"),
                        borrower.board->memory());
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(*memory));
  fds.push_back(std::move(*bell));
  runner.request(control::RunnerBoardT{}, std::move(fds), nullptr);
}

void Lending::runner_adopted(RunnerProcess& runner) {
  UniqueFd memory = survival_.keeper.take_left(RunnerProcess::kept_name(runner.number(), "board"));
  auto board = memory.valid() ? Board::adopt(std::move(memory))
                              : Result<std::shared_ptr<Board>>(std::shared_ptr<Board>());
  const bool has_board = board.ok() && *board != nullptr;
  if (config_.cpus <= 0 && config_.memory == 0) {
    if (has_board) (*board)->set_threads(0);
    return;
  }
  Borrower& borrower = borrowers_[&runner];
  borrower.id = runner.number();
  if (auto limited = limit(borrower, runner.pid(), /*adopted=*/true); !limited.ok()) {
    borrower.cpu_group.clear();
    borrower.memory_group.clear();
    note(fmt::format("runner {}, which was adopted, has no budget and borrows nothing: {}",
                     runner.pid(), limited.error().message));
  }
  if (lender_ == nullptr || !has_board || borrower.group == nullptr) return;
  borrower.board = std::move(*board);
  add_borrower(borrower, runner.pid());
}

void Lending::add_borrower(Borrower& borrower, pid_t pid) {
  BorrowerSpec spec;
  spec.id = borrower.id;
  spec.pid = pid;
  spec.board = borrower.board;
  spec.cpu_group = borrower.cpu_group;
  spec.memory_group = borrower.memory_group;
  if (!spec.cpu_group.empty()) {
    const auto service = std::filesystem::path(spec.cpu_group).parent_path();
    spec.cpu_groups_above = {service, service.parent_path()};
  }
  spec.most_threads = usable_processors();
  // Before the runner looks at it, so that it never starts with too many threads.
  if (!spec.cpu_group.empty()) {
    spec.board->set_threads(
        std::min(spec.most_threads, static_cast<uint32_t>(std::ceil(config_.cpus - 1e-9))));
  }
  lender_->add_runner(std::move(spec));
}

}  // namespace pocket::daemon

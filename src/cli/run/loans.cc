#include "cli/run/loans.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/admin.h"
#include "cli/run/amounts.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;

Result<control::LeasesT> ask(const std::string& socket) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(socket));
  return get_leases(*session, /*reconcile=*/false);
}

void add_account(const control::LeaseAccountT& account, Loans& loans) {
  if (account.resource == "memory") {
    loans.lent_memory_bytes += account.lent;
    loans.borrowed_memory_bytes += account.borrowed;
    return;
  }
  const auto period = static_cast<double>(std::max<int64_t>(account.period_us, 1));
  loans.lent_cpu += static_cast<double>(account.lent) / period;
  loans.borrowed_cpu += static_cast<double>(account.borrowed) / period;
}

std::string amounts_text(double cpu, int64_t memory_bytes) {
  std::string text;
  if (cpu > 0) text = fmt::format("{:.3f} cpu", cpu);
  if (memory_bytes > 0) {
    text += (text.empty() ? "" : ", ") + memory_text(static_cast<uint64_t>(memory_bytes));
  }
  return text;
}

}  // namespace

const Result<control::LeasesT>& LoanView::leases_of(const std::string& socket) {
  // `pocket run --share-socket default` names the usual place like this.
  const std::string path = socket == "default" ? "" : socket;
  auto found = asked_.find(path);
  if (found == asked_.end()) found = asked_.emplace(path, ask(path)).first;
  return found->second;
}

SeenLoans LoanView::of(const SeenRun& run) {
  const Record& record = run.record;
  if (run.state != RunState::kRunning || record.process.pid == 0) return {};
  if (record.group.empty() && record.engine.empty()) {
    return {std::nullopt, "it has no group of its own, so it has nothing to lend"};
  }
  std::map<std::string, std::string> groups;  // by resource
  for (const auto controller : cgroup::kBoth) {
    auto group = host_.group_of(controller, record.process.pid);
    if (group.ok()) groups[cgroup::controller_name(controller)] = *std::move(group);
  }
  const auto& leases = leases_of(record.socket);
  if (!leases.ok()) return {std::nullopt, leases.error().message};
  SeenLoans seen{Loans{}, ""};
  for (const auto& account : leases->accounts) {
    const auto group = groups.find(account->resource);
    if (group != groups.end() && group->second == account->group) {
      add_account(*account, *seen.loans);
    }
  }
  return seen;
}

void add_to(nlohmann::json& object, const SeenLoans& seen) {
  if (!seen.note.empty()) object["lending_note"] = seen.note;
  if (!seen.loans) return;
  object["lent_cpu"] = seen.loans->lent_cpu;
  object["lent_memory_bytes"] = seen.loans->lent_memory_bytes;
  object["borrowed_cpu"] = seen.loans->borrowed_cpu;
  object["borrowed_memory_bytes"] = seen.loans->borrowed_memory_bytes;
}

std::string lent_text(const SeenLoans& seen) {
  const std::string text =
      seen.loans ? amounts_text(seen.loans->lent_cpu, seen.loans->lent_memory_bytes) : "";
  return text.empty() ? "-" : text;
}

std::string loans_text(const SeenLoans& seen) {
  if (!seen.note.empty()) return fmt::format("{:16} not known: {}\n", "lent", seen.note);
  if (!seen.loans) return "";
  const auto line = [](const char* name, double cpu, int64_t memory) {
    const std::string text = amounts_text(cpu, memory);
    return fmt::format("{:16} {}\n", name, text.empty() ? "nothing now" : text);
  };
  return line("lent", seen.loans->lent_cpu, seen.loans->lent_memory_bytes) +
         line("borrowed", seen.loans->borrowed_cpu, seen.loans->borrowed_memory_bytes);
}

}  // namespace pocket::cli

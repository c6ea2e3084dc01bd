// pocket leases: whose budget works where at this moment.
#include <fmt/format.h>

#include "cli/admin.h"
#include "cli/command.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;
using nlohmann::json;

struct Options {
  ServiceOptions service;
  bool reconcile = false;
};

json account_json(const control::LeaseAccountT& account) {
  json row = {{"resource", account.resource},
              {"group", account.group},
              {"label", account.label},
              {"base", account.base},
              {"lent", account.lent},
              {"borrowed", account.borrowed},
              {"current", account.current},
              {"conserved", account.conserved},
              {"gone", account.gone},
              {"total_foreign_changes", account.foreign_changes},
              {"unit", account.resource == "cpu" ? "us_per_period" : "bytes"}};
  if (account.resource == "cpu") row["period_us"] = account.period_us;
  return row;
}

json client_json(const control::LeaseClientT& client) {
  json row = {{"session", client.session},
              {"pid", client.pid},
              {"name", client.name},
              {"runner_pid", client.runner_pid},
              {"in_call", client.in_call}};
  for (const auto& side : client.sides) {
    row[side->resource] = {{"policy", side->policy},
                           {"group", side->group},
                           {"lent", side->lent},
                           {"total_loans", side->total_loans},
                           {"total_refused", side->total_refused},
                           {"note", side->note}};
  }
  return row;
}

json leases_json(const control::LeasesT& leases) {
  json report = {{"accounts", json::array()}, {"sums", json::object()},
                 {"clients", json::array()},  {"runners", json::array()},
                 {"notes", leases.notes},     {"repaired", leases.repaired}};
  for (const auto& account : leases.accounts) report["accounts"].push_back(account_json(*account));
  for (const auto& sum : leases.sums) {
    report["sums"][sum->resource] = {{"base", sum->base},
                                     {"current", sum->files},
                                     {"in_transit", sum->in_transit},
                                     {"unbacked", sum->unbacked},
                                     {"conserved", sum->conserved},
                                     {"unit", sum->resource == "cpu" ? "us_per_second" : "bytes"}};
  }
  for (const auto& client : leases.clients) report["clients"].push_back(client_json(*client));
  for (const auto& runner : leases.runners) {
    report["runners"].push_back(
        {{"pid", runner->pid},
         {"cpu_group", runner->cpu_group},
         {"memory_group", runner->memory_group},
         {"threads", runner->threads},
         {"total_loans", runner->total_loans},
         {"total_returns", runner->total_returns},
         {"total_borrowed_cpu_seconds", runner->total_borrowed_cpu_seconds},
         {"total_borrowed_byte_seconds", runner->total_borrowed_byte_seconds}});
  }
  report["lender"] = {{"lend_us_p50", leases.lend_us_p50},
                      {"return_us_p50", leases.return_us_p50},
                      {"total_cpu_ns", leases.total_cpu_ns},
                      {"total_wakeups", leases.total_wakeups}};
  return report;
}

/// "0.50 processors" or "128.0 MB"; "unlimited".
std::string amount_text(const control::LeaseAccountT& account, int64_t amount) {
  if (amount < 0) return "unlimited";
  if (account.resource == "memory") {
    return fmt::format("{:.1f} MB", static_cast<double>(amount) / 1e6);
  }
  return fmt::format(
      "{:.3f} cpu",
      static_cast<double>(amount) / static_cast<double>(std::max<int64_t>(account.period_us, 1)));
}

void print_leases(const control::LeasesT& leases) {
  for (const auto& line : leases.repaired) fmt::print("repaired  {}\n", line);
  if (!leases.accounts.empty()) {
    fmt::print("{:8} {:>12} {:>12} {:>12} {:>12}  {}\n", "RESOURCE", "BASE", "LENT", "BORROWED",
               "NOW", "GROUP");
  }
  for (const auto& account : leases.accounts) {
    const auto text = [&](int64_t amount) { return amount_text(*account, amount); };
    fmt::print("{:8} {:>12} {:>12} {:>12} {:>12}  {}{}\n", account->resource, text(account->base),
               text(account->lent), text(account->borrowed), text(account->current), account->label,
               account->gone        ? " (gone)"
               : account->conserved ? ""
                                    : " (not conserved: pocket leases --reconcile)");
  }
  for (const auto& client : leases.clients) {
    fmt::print("client {} ({}) of runner {}{}\n", client->pid, client->name, client->runner_pid,
               client->in_call ? ", in a call" : "");
    for (const auto& side : client->sides) {
      fmt::print("  {:6} {:18} {} loans{}{}\n", side->resource, side->policy, side->total_loans,
                 side->note.empty() ? "" : ": ", side->note);
    }
  }
  for (const auto& note : leases.notes) fmt::print("note    {}\n", note);
}

Result<int> show(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
  POCKET_ASSIGN_OR_RETURN(const auto leases, get_leases(*session, options.reconcile));
  if (!options.service.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, leases_json(leases)));
  } else {
    print_leases(leases);
  }
  return 0;
}

}  // namespace

void add_leases_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("leases", "Show whose budget works where");
  add_service_options(*command, options->service);
  command->add_flag("--reconcile", options->reconcile,
                    "First hold the ledger against the groups, and repair");
  command->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace pocket::cli

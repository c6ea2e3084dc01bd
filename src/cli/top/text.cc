#include "cli/top/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace pocket::cli {
namespace {

namespace control = wire::control;
using nlohmann::json;

constexpr size_t kNameWidth = 24;

std::string megabytes(double bytes) {
  return bytes == 0 ? "-" : fmt::format("{:.1f}", bytes / 1e6);
}

std::string time_text(const std::optional<double>& ms) {
  if (!ms) return "-";
  return *ms < 10 ? fmt::format("{:.3f}", *ms) : fmt::format("{:.1f}", *ms);
}

std::string rate(double per_s) { return per_s == 0 ? "-" : fmt::format("{:.1f}", per_s); }

std::string amount(double value) { return value == 0 ? "-" : fmt::format("{:.2f}", value); }

/// What clients and operators call things goes to a terminal here.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string pad(const std::string& text) {
  const std::string cut = clip(printable(text), kNameWidth);
  const auto is_tail = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  const auto tails = static_cast<size_t>(std::ranges::count_if(cut, is_tail));
  return cut + std::string(kNameWidth - (cut.size() - tails), ' ');
}

std::string header(const char* title, const char* moved) {
  return fmt::format(
      "{:<{}} {:>7} {:>9} {:>6} {:>5} {:>6} {:>6} {:>8} {:>8} {:>9} {:>9} {:>9} "
      "{:>9} {:>9}",
      title, kNameWidth, "CLIENTS", "CALLS/s", "QUEUED", "RUN", "CPU", "SHARE", "MB", "REFUSE/s",
      "WAITp99ms", "RUNp50ms", "RUNp99ms", fmt::format("{}CPU", moved), fmt::format("{}MB", moved));
}

std::string line(const Figure& figure) {
  return fmt::format(
      "{} {:>7} {:>9} {:>6} {:>5} {:>6} {:>5.0f}% {:>8} {:>8} {:>9} {:>9} {:>9} "
      "{:>9} {:>9}",
      pad(figure.name), figure.clients, rate(figure.calls_per_s), figure.waiting, figure.running,
      amount(figure.processors), figure.share * 100,
      megabytes(static_cast<double>(figure.memory + figure.kept)), rate(figure.refused_per_s),
      time_text(figure.wait_p99_ms), time_text(figure.run_p50_ms), time_text(figure.run_p99_ms),
      amount(figure.cpu_moved), megabytes(figure.memory_moved));
}

void add_section(std::vector<std::string>& lines, const char* title, const char* moved,
                 const std::vector<Figure>& figures) {
  if (figures.empty()) return;
  lines.emplace_back();
  lines.push_back(header(title, moved));
  for (const Figure& figure : figures) {
    const std::string detail = figure.detail.empty() ? "" : "  " + printable(figure.detail);
    lines.push_back(line(figure) + detail);
  }
}

std::string lease_amount(const control::LeaseAccountT& account, int64_t value) {
  if (value < 0) return "unlimited";
  if (account.resource == "memory")
    return fmt::format("{:.1f} MB", static_cast<double>(value) / 1e6);
  return fmt::format(
      "{:.3f} cpu",
      static_cast<double>(value) / static_cast<double>(std::max<int64_t>(account.period_us, 1)));
}

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(); }

json figure_json(const Figure& figure, const char* moved) {
  return {{"name", figure.name},
          {"detail", figure.detail},
          {"clients", figure.clients},
          {"calls_per_second", figure.calls_per_s},
          {"errors_per_second", figure.errors_per_s},
          {"refused_per_second", figure.refused_per_s},
          {"waiting", figure.waiting},
          {"running", figure.running},
          {"processors", figure.processors},
          {"cpu_share", figure.share},
          {"memory_bytes", figure.memory},
          {"kept_bytes", figure.kept},
          {std::string(moved) + "_cpu", figure.cpu_moved},
          {std::string(moved) + "_memory_bytes", figure.memory_moved},
          {"wait_p99_ms", optional_json(figure.wait_p99_ms)},
          {"run_p50_ms", optional_json(figure.run_p50_ms)},
          {"run_p99_ms", optional_json(figure.run_p99_ms)},
          {"total_calls", figure.total_calls},
          {"total_errors", figure.total_errors},
          {"total_refused", figure.total_refused},
          {"total_expired", figure.total_expired},
          {"total_cpu_seconds", figure.total_cpu_s}};
}

}  // namespace

std::string clip(const std::string& text, size_t width) {
  size_t characters = 0;
  for (size_t index = 0; index < text.size(); ++index) {
    if ((static_cast<unsigned char>(text[index]) & 0xc0) == 0x80) continue;
    if (characters++ == width) return text.substr(0, index);
  }
  return text;
}

std::vector<std::string> figure_lines(const Figures& figures) {
  double calls = 0, cpu = 0;
  uint64_t waiting = 0, running = 0;
  for (const Figure& tenant : figures.tenants) {
    calls += tenant.calls_per_s;
    cpu += tenant.processors;
    waiting += tenant.waiting;
    running += tenant.running;
  }
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "pocket {}, up {:.0f} s: {} clients, {:.1f} calls/s, {} queued, {} running, {:.2f} "
      "processors; of the last {:.1f} s",
      figures.version, figures.uptime_s, figures.clients, calls, waiting, running, cpu,
      figures.interval_s));
  add_section(lines, "TENANT", "LENT", figures.tenants);
  add_section(lines, "MODEL", "", figures.models);
  add_section(lines, "RUNNER", "BORROW", figures.runners);
  if (!figures.leases.empty()) {
    lines.emplace_back();
    lines.push_back(fmt::format("{:8} {:>12} {:>12} {:>12} {:>12}  GROUP", "RESOURCE", "BASE",
                                "LENT", "BORROWED", "NOW"));
  }
  for (const auto& account : figures.leases) {
    lines.push_back(fmt::format("{:8} {:>12} {:>12} {:>12} {:>12}  {}", account.resource,
                                lease_amount(account, account.base),
                                lease_amount(account, account.lent),
                                lease_amount(account, account.borrowed),
                                lease_amount(account, account.current), printable(account.label)));
  }
  if (!figures.notes.empty()) lines.emplace_back();
  for (const std::string& note : figures.notes) lines.push_back("note  " + printable(note));
  return lines;
}

json figures_json(const Figures& figures) {
  json report = {{"version", figures.version},
                 {"uptime_seconds", figures.uptime_s},
                 {"interval_seconds", figures.interval_s},
                 {"clients", figures.clients},
                 {"tenants", json::array()},
                 {"models", json::array()},
                 {"runners", json::array()},
                 {"leases", json::array()},
                 {"notes", figures.notes}};
  for (const Figure& tenant : figures.tenants) {
    report["tenants"].push_back(figure_json(tenant, "lent"));
  }
  for (const Figure& model : figures.models) {
    json row = figure_json(model, "lent");
    row.erase("lent_cpu");
    row.erase("lent_memory_bytes");
    report["models"].push_back(std::move(row));
  }
  for (const Figure& runner : figures.runners) {
    json row = figure_json(runner, "borrowed");
    row["pid"] = runner.pid;
    report["runners"].push_back(std::move(row));
  }
  for (const auto& account : figures.leases) {
    report["leases"].push_back({{"resource", account.resource},
                                {"group", account.group},
                                {"label", account.label},
                                {"base", account.base},
                                {"lent", account.lent},
                                {"borrowed", account.borrowed},
                                {"current", account.current},
                                {"period_us", account.period_us}});
  }
  return report;
}

}  // namespace pocket::cli

// pocket top: who uses the service, and how much, at this moment.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/top/figures.h"
#include "cli/top/screen.h"
#include "cli/top/text.h"

namespace pocket::cli {
namespace {

struct Options {
  ServiceOptions service;
  double interval_s = 0;
  bool once = false;
  std::string sort = "cpu";
  bool reversed = false;
};

constexpr double kUsualIntervalSeconds = 2;
constexpr double kUsualOnceSeconds = 1;

SortBy sort_by(const std::string& name) {
  const auto& names = sort_names();
  return static_cast<SortBy>(std::ranges::find(names, name) - names.begin());
}

uint64_t to_ns(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

Result<int> show_once(const Options& options) {
  const double interval = options.interval_s > 0 ? options.interval_s : kUsualOnceSeconds;
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
  POCKET_ASSIGN_OR_RETURN(const Sample before, take_sample(*session));
  sleep_ns(to_ns(interval));
  POCKET_ASSIGN_OR_RETURN(const Sample after, take_sample(*session));
  Figures figures = compare(before, after);
  sort_figures(figures, sort_by(options.sort), options.reversed);
  if (!options.service.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, figures_json(figures)));
    return 0;
  }
  for (const std::string& line : figure_lines(figures)) fmt::print("{}\n", line);
  return 0;
}

/// The live view: two looks that follow each other, and what was pressed meanwhile.
class LiveView {
 public:
  static Result<int> run(const Options& options) {
    // Before the terminal is taken: a service that is not there is told in the ordinary way.
    POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
    POCKET_ASSIGN_OR_RETURN(auto first, take_sample(*session));
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}) {
      sigaddset(&signals, signal);
    }
    if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return errno_error("sigprocmask", errno);
    LiveView view(options, std::move(session), std::move(first));
    view.signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!view.signals_.valid()) return errno_error("signalfd", errno);
    return view.loop();
  }

 private:
  LiveView(const Options& options, std::shared_ptr<client::Session> session, Sample first)
      : options_(options),
        interval_ns_(to_ns(options.interval_s > 0 ? options.interval_s : kUsualIntervalSeconds)),
        session_(std::move(session)),
        last_(std::move(first)),
        figures_(compare(last_, last_)),
        sort_(sort_by(options.sort)),
        reversed_(options.reversed) {}

  int loop() {
    draw();
    // The first figures soon, the others at the interval.
    uint64_t due = monotonic_ns() + std::min<uint64_t>(interval_ns_, kNanosecondsPerSecond / 2);
    while (true) {
      std::array<pollfd, 2> entries = {{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      const uint64_t now = monotonic_ns();
      const int timeout = now >= due ? 0 : static_cast<int>((due - now) / 1'000'000) + 1;
      if (::poll(entries.data(), entries.size(), timeout) > 0) {
        if (entries[1].revents != 0 && !take_signals()) return 0;
        if ((entries[0].revents & POLLIN) != 0 && !take_keys()) return 0;
        if ((entries[0].revents & (POLLHUP | POLLERR)) != 0) return 0;
        draw();
      }
      if (monotonic_ns() < due) continue;
      look();
      draw();
      due = monotonic_ns() + interval_ns_;
    }
  }

  /// False: it is over.
  bool take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGWINCH) continue;  // drawn anew after each signal
      if (info.ssi_signo != SIGTSTP) return false;
      screen_.leave();
      ::kill(::getpid(), SIGSTOP);
      screen_.enter();
    }
    return true;
  }

  bool take_keys() {
    int key = 0;
    while ((key = screen_.key()) > 0) {
      if (key == 'q' || key == 'Q') return false;
      if (key == 'r') reversed_ = !reversed_;
      const auto count = sort_names().size();
      if (key == 's') sort_ = static_cast<SortBy>((static_cast<size_t>(sort_) + 1) % count);
      if (key == 'S') sort_ = static_cast<SortBy>((static_cast<size_t>(sort_) + count - 1) % count);
    }
    return key == 0;
  }

  /// A service that is gone for a while is asked again at the next turn.
  void look() {
    trouble_.clear();
    const bool fresh = session_ == nullptr;
    if (fresh) {
      auto connected = connect(options_.service.socket);
      if (!connected.ok()) {
        trouble_ = connected.error().message;
        return;
      }
      session_ = std::move(*connected);
    }
    auto sample = take_sample(*session_);
    if (!sample.ok()) {
      trouble_ = sample.error().message;
      session_.reset();
      return;
    }
    figures_ = compare(fresh ? *sample : last_, *sample);
    last_ = std::move(*sample);
  }

  void draw() {
    sort_figures(figures_, sort_, reversed_);
    const std::string keys =
        fmt::format(" q quit   s sort: {}{}   r reverse   every {:g} s ",
                    sort_names()[static_cast<size_t>(sort_)], reversed_ ? ", reversed" : "",
                    static_cast<double>(interval_ns_) / 1e9);
    screen_.draw(figure_lines(figures_), trouble_.empty() ? keys : " " + trouble_ + " ");
  }

  const Options& options_;
  const uint64_t interval_ns_;
  std::shared_ptr<client::Session> session_;  // none: it is gone
  Sample last_;
  Figures figures_;
  SortBy sort_;
  bool reversed_;
  std::string trouble_;
  UniqueFd signals_;
  Screen screen_;
};

Result<int> show(const Options& options) {
  const bool live = !options.once && options.service.json.empty() && Screen::usable();
  return live ? LiveView::run(options) : show_once(options);
}

}  // namespace

void add_top_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("top", "Watch who uses the service, and how much");
  add_service_options(*command, options->service);
  command->add_flag("--once", options->once,
                    "Print once and end (also in a pipe, and with --json)");
  command
      ->add_option("--interval", options->interval_s,
                   "Seconds between two looks (default: 2; once: 1)")
      ->check(CLI::Range(0.05, 3600.0));
  command->add_option("--sort", options->sort, "What to sort by (default: cpu)")
      ->check(CLI::IsMember(sort_names()));
  command->add_flag("--reverse", options->reversed, "Least first");
  command->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace pocket::cli

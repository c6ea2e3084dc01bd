// After a crash: whose request it was, and what the next runner is told.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/clock.h"
#include "daemon/models.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

constexpr const char* kNoteName = "quarantine";

std::vector<std::unique_ptr<control::DigestT>> pack(
    const std::vector<wire::RequestDigest>& digests) {
  std::vector<std::unique_ptr<control::DigestT>> packed;
  for (const auto& digest : digests) {
    auto entry = std::make_unique<control::DigestT>();
    entry->low = digest.low;
    entry->high = digest.high;
    packed.push_back(std::move(entry));
  }
  return packed;
}

}  // namespace

void Models::judge_crash(const RunnerProcess& runner) {
  if (!runner.crashed()) return;
  const uint64_t now = monotonic_ns();
  const auto flights = runner.flights();
  const bool all_watched = std::ranges::none_of(models_, [&runner](const auto& entry) {
    return entry.second->runner == &runner && !entry.second->watched;
  });
  for (const auto& [key, model] : models_) {
    if (model->runner != &runner || model->state != ModelState::kReady) continue;
    std::vector<Quarantine::Suspect> suspects;
    for (const auto& flight : flights) {
      if (flight.model == model->id)
        suspects.push_back({client_of_(flight.channel), flight.digest});
    }
    const bool alone = all_watched && flights.size() == 1 && suspects.size() == 1;
    const auto found = quarantine_.crashed({key, model->source.name, model->source.version},
                                           model->watched, suspects, alone, now);
    if (found) {
      spdlog::warn(
          "model '{}': a request of {} ended its runner twice and is refused from now on ({})",
          model->source.name, found->client, digest_text(found->digest));
    }
    end_watch_later(key);
  }
  keep_quarantine();
}

void Models::end_watch_later(const std::string& key) {
  loop_.after(Quarantine::kWatchNs + kNanosecondsPerSecond, [this, key] {
    const auto known = models_.find(key);
    if (known == models_.end() || known->second->runner == nullptr) return;
    if (known->second->watched) watch_calls(*known->second);
  });
}

/// What the pocketd before this one knew.
void Models::restore_quarantine() {
  UniqueFd left = survival_.keeper.take_left(kNoteName);
  if (!left.valid()) return;
  auto note = Note::adopt(std::move(left));
  auto message = note.ok() ? wire::decode_message(note->read())
                           : Result<control::MessageT>(std::move(note).error());
  const auto* kept = message.ok() ? message->body.AsKeptQuarantine() : nullptr;
  if (kept == nullptr) {
    spdlog::warn("the quarantine of the pocketd before is lost: {}",
                 message.ok() ? "it is of another kind" : message.error().message);
    survival_.keeper.drop(kNoteName);
    return;
  }
  quarantine_.restore(*kept);
  quarantine_note_.emplace(std::move(*note));
}

void Models::keep_quarantine() {
  if (!survival_.keeper.keeps()) return;
  if (!quarantine_note_) {
    auto note = Note::create("pocketd-quarantine");
    if (!note.ok()) {
      spdlog::warn("the next pocketd will not know the quarantine: {}", note.error().message);
      return;
    }
    quarantine_note_.emplace(std::move(*note));
    survival_.keeper.keep(kNoteName, quarantine_note_->memory());
  }
  if (!quarantine_note_->write(wire::encode_message(0, quarantine_.keep()))) {
    spdlog::warn("the quarantine is too long for the next pocketd, which will know an older one");
  }
}

/// Tells the model's runner whether to write its calls down.
void Models::watch_calls(LoadedModel& model, std::function<void()> told) {
  if (told == nullptr) told = [] {};
  if (model.state != ModelState::kReady || model.runner == nullptr) return told();
  control::RunnerWatchT watch;
  watch.model = model.id;
  std::vector<UniqueFd> fds;
  if (quarantine_.watches(model.key, monotonic_ns())) {
    auto book = model.runner->flight_book();
    if (!book.ok()) {
      spdlog::warn("model '{}' crashed before, and its calls cannot be written down: {}",
                   model.source.name, book.error().message);
      return told();
    }
    fds.push_back(std::move(*book));
    watch.seed = quarantine_.seed();
    watch.refused = pack(quarantine_.refused(model.key));
    watch.suspects = pack(quarantine_.suspected(model.key));
  }
  model.watched = !fds.empty();
  model.runner->request(std::move(watch), std::move(fds),
                        [told = std::move(told)](const auto&) { told(); });
}

Result<void> Models::check_client(const std::string& client, const LoadedModel& model) const {
  const uint64_t barred = quarantine_.barred_ns(client, model.key, monotonic_ns());
  if (barred == 0) return ok_result();
  return Error{
      POCKET_PERMISSION_DENIED,
      fmt::format("{} different requests of yours ended the runner of model '{}': you may "
                  "open it again in {} s",
                  Quarantine::kMostCrashes, model.source.name, barred / kNanosecondsPerSecond + 1)};
}

void Models::quarantined(bool clear, const std::string& name, const Quarantined& done) {
  auto listed = quarantine_.list(monotonic_ns());
  if (!name.empty()) {
    std::erase_if(listed.requests, [&](const auto& entry) { return entry->model != name; });
  }
  if (!clear) return done(std::move(listed));
  struct Clearing {
    control::QuarantineT listed;
    size_t missing = 1;  // runners that do not know yet, and this function
  };
  auto clearing = std::make_shared<Clearing>();
  clearing->listed = std::move(listed);
  const auto told = [clearing, done] {
    if (--clearing->missing == 0) done(std::move(clearing->listed));
  };
  for (const auto& key : quarantine_.clear(name)) {
    const auto known = models_.find(key);
    if (known == models_.end()) continue;
    clearing->missing += 1;
    watch_calls(*known->second, told);
  }
  keep_quarantine();
  told();
}

}  // namespace pocket::daemon

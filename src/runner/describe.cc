// What this runner has, for a pocketd that takes it over.
#include <algorithm>

#include "ipc/liveness.h"
#include "runner/control.h"

namespace pocket::runner {

namespace control = wire::control;

namespace {

// So that a piece fits a control message, whatever the models' tensors are called.
constexpr size_t kModelsOfPiece = 4;
constexpr size_t kChannelsOfPiece = 500;

}  // namespace

void Control::remember(const control::RunnerLoadT& load, const control::RunnerLoadedT& loaded) {
  control::RunnerLoadedModelT entry;
  entry.model = load.model;
  entry.path = load.path;
  if (load.memo != nullptr) entry.memo = std::make_unique<control::RunnerMemoT>(*load.memo);
  for (const auto& info : loaded.inputs) {
    entry.inputs.push_back(std::make_unique<control::TensorInfoT>(*info));
  }
  for (const auto& info : loaded.outputs) {
    entry.outputs.push_back(std::make_unique<control::TensorInfoT>(*info));
  }
  entry.load_ms = loaded.load_ms;
  entry.memory_bytes = loaded.memory_bytes;
  loaded_[load.model] = std::move(entry);
}

void Control::describe(uint64_t request, const control::RunnerDescribeT& wanted) {
  control::RunnerDescriptionT description;
  description.version = POCKET_VERSION_TEXT;
  description.engine = plugin_.api().name;
  description.loading = loading_.load();
  {
    MutexLock lock(models_mutex_);
    for (auto entry = loaded_.upper_bound(wanted.after_model); entry != loaded_.end(); ++entry) {
      if (description.models.size() == kModelsOfPiece) {
        description.more = true;
        break;
      }
      description.models.push_back(std::make_unique<control::RunnerLoadedModelT>(entry->second));
    }
  }
  auto channels = workers_->all();
  std::erase_if(channels,
                [&](const auto& channel) { return channel->id() <= wanted.after_channel; });
  std::ranges::sort(channels, {}, [](const auto& channel) { return channel->id(); });
  for (const auto& channel : channels) {
    if (description.channels.size() == kChannelsOfPiece) {
      description.more = true;
      break;
    }
    auto entry = std::make_unique<control::RunnerChannelT>();
    channel->describe(*entry);
    description.channels.push_back(std::move(entry));
  }
  send(request, std::move(description));
}

}  // namespace pocket::runner

// The handler engine: runs an application's own code beside the models, watched and per client.
#include "pocket/engine.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "call.h"
#include "client_state.h"
#include "guarded.h"
#include "handler_file.h"
#include "library.h"
#include "message.h"
#include "watchdog.h"

using namespace pocket;                  // NOLINT: of a plugin, which exports one function
using namespace pocket::handler_engine;  // NOLINT

struct pocket_engine_model {
  const pocket_handler_api* api = nullptr;
  const pocket_engine_host* host = nullptr;
  HostOptions options;
  pocket_handler* handler = nullptr;
  Mutex mutex;
  // Shared with the calls that run.
  std::unordered_map<uint64_t, std::shared_ptr<ClientState>> clients POCKET_GUARDED_BY(mutex);
};

struct pocket_engine_context {
  pocket_engine_model* model;
};

namespace {

int32_t fail(pocket_engine_error* error, const Error& why) {
  fmt::format_to_n(error->message, sizeof(error->message) - 1, "{}", why.message).out[0] = '\0';
  return why.code;
}

/// Nothing thrown may cross the interface.
template <typename Body>
int32_t contained(pocket_engine_error* error, Body body) {
  try {
    Result<void> done = body();
    return done.ok() ? static_cast<int32_t>(POCKET_OK) : fail(error, done.error());
  } catch (const std::bad_alloc&) {
    return fail(error, {POCKET_RESOURCE_EXHAUSTED, "the handler's runner has no memory left"});
  } catch (const std::exception& thrown) {
    return fail(error, {POCKET_INTERNAL, thrown.what()});
  }
}

/// Where this plugin lies, and the handlers that come with Pocket.
std::string plugin_folder() {
  Dl_info info{};
  static const char inside = 0;
  if (::dladdr(&inside, &info) == 0 || info.dli_fname == nullptr) return ".";
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

Result<void> load_handler(const pocket_engine_load_options& raw, pocket_engine_model& model) {
  POCKET_ASSIGN_OR_RETURN(model.options, read_options(raw));
  POCKET_ASSIGN_OR_RETURN(const HandlerFile file,
                          read_handler_file(raw.model_path, plugin_folder()));
  POCKET_ASSIGN_OR_RETURN(model.api, open_library(file.library));
  const bool has_host =
      raw.struct_size >= offsetof(pocket_engine_load_options, host) + sizeof(raw.host);
  model.host = has_host ? raw.host : nullptr;
  std::vector<pocket_handler_option> pairs;
  for (const auto& [key, value] : model.options.others) {
    pairs.push_back({key.c_str(), value.c_str()});
  }
  pocket_handler_load_options options{};
  options.struct_size = sizeof(options);
  options.threads = raw.threads;
  options.folder = file.folder.c_str();
  options.options = pairs.data();
  options.option_count = pairs.size();
  return guarded(*model.api, [&](pocket_handler_error* error) {
    return model.api->load(&options, &model.handler, error);
  });
}

int32_t load(const pocket_engine_load_options* options, pocket_engine_model** model,
             pocket_engine_error* error) {
  return contained(error, [&]() -> Result<void> {
    auto loaded = std::make_unique<pocket_engine_model>();
    POCKET_RETURN_IF_ERROR(load_handler(*options, *loaded));
    *model = loaded.release();
    return ok_result();
  });
}

void unload(pocket_engine_model* model) {
  {
    MutexLock lock(model->mutex);
    model->clients.clear();
  }
  const Watchdog::Watch watch(model->api->name, monotonic_ns() + 5 * kNanosecondsPerSecond, 1,
                              nullptr, nullptr);
  (void)guarded(*model->api, [&](pocket_handler_error*) {
    model->api->unload(model->handler);
    return static_cast<int32_t>(POCKET_OK);
  });
  delete model;
}

uint32_t input_count(const pocket_engine_model* model) { return 1 + model->api->tensors_in; }
uint32_t output_count(const pocket_engine_model* model) { return 1 + model->api->tensors_out; }

int32_t info(uint32_t index, uint32_t count, const char* message, pocket_engine_tensor_info* info) {
  static constexpr const char* kNames[] = {"tensor0", "tensor1", "tensor2", "tensor3",
                                           "tensor4", "tensor5", "tensor6", "tensor7"};
  if (index >= count) return POCKET_NOT_FOUND;
  info->name = index == 0 ? message : kNames[index - 1];
  info->dtype = index == 0 ? POCKET_UINT8 : POCKET_DTYPE_UNDEFINED;
  info->rank = index == 0 ? 1 : -1;
  info->shape[0] = -1;
  return POCKET_OK;
}
int32_t input_info(const pocket_engine_model* model, uint32_t index,
                   pocket_engine_tensor_info* result) {
  return info(index, input_count(model), "request", result);
}
int32_t output_info(const pocket_engine_model* model, uint32_t index,
                    pocket_engine_tensor_info* result) {
  return info(index, output_count(model), "reply", result);
}

int32_t create_context(pocket_engine_model* model, pocket_engine_context** context,
                       pocket_engine_error*) {
  *context = new pocket_engine_context{model};
  return POCKET_OK;
}
void destroy_context(pocket_engine_context* context) { delete context; }

std::shared_ptr<ClientState> client_of(pocket_engine_model& model, uint64_t client) {
  MutexLock lock(model.mutex);
  auto& state = model.clients[client];
  if (state == nullptr) state = std::make_shared<ClientState>(model.api, model.handler);
  return state;
}

/// Bytes of memory that this process alone uses; 0 when unknown.
uint64_t own_memory() {
  unsigned long pages = 0, resident = 0, shared = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%lu %lu %lu", &pages, &resident, &shared);
  std::fclose(file);
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return read == 3 && resident > shared ? (resident - shared) * page : 0;
}

void check_memory(const pocket_engine_model& model) {
  if (model.options.memory_bytes == 0) return;
  const uint64_t used = own_memory();
  if (used <= model.options.memory_bytes) return;
  Watchdog::instance().end_soon(
      fmt::format("the runner of '{}' uses {} MiB of its own, its limit is "
                  "{} (memory_mb)",
                  model.api->name, used >> 20, model.options.memory_bytes >> 20));
}

/// One operation of a client, with everything it concerns.
struct Turn {
  pocket_engine_model& model;
  ClientState& state;
  const RequestHeader& header;
  HostCall& call;
  const pocket_handler_call& view;
};

Result<ReplyHeader> call_once(const Turn& turn) {
  const pocket_handler_api& api = *turn.model.api;
  POCKET_ASSIGN_OR_RETURN(pocket_handler_client* const client, turn.state.get());
  POCKET_RETURN_IF_ERROR(guarded(api, [&](pocket_handler_error* error) {
    return api.call(turn.model.handler, client, turn.header.method, &turn.view, error);
  }));
  return ReplyHeader{};
}

Result<ReplyHeader> open_stream(const Turn& turn) {
  const pocket_handler_api& api = *turn.model.api;
  POCKET_ASSIGN_OR_RETURN(pocket_handler_client* const client, turn.state.get());
  pocket_handler_stream* stream = nullptr;
  POCKET_RETURN_IF_ERROR(guarded(api, [&](pocket_handler_error* error) {
    return api.open_stream(turn.model.handler, client, turn.header.method, &turn.view, &stream,
                           error);
  }));
  ReplyHeader head{};
  POCKET_ASSIGN_OR_RETURN(head.stream,
                          turn.state.add_stream(std::make_shared<Stream>(
                              turn.model.api, turn.model.handler, stream, turn.header.method)));
  return head;
}

Result<ReplyHeader> next_part(const Turn& turn) {
  const pocket_handler_api& api = *turn.model.api;
  POCKET_ASSIGN_OR_RETURN(const auto stream, turn.state.find_stream(turn.header.stream));
  if (stream->method() != turn.header.method) {
    return Error{POCKET_INVALID_ARGUMENT, "the stream is one of another method"};
  }
  if (stream->busy.exchange(true)) {
    return Error{POCKET_BUSY, "the stream is read by another call: wait for that one"};
  }
  int32_t end = 0;
  auto pulled = guarded(api, [&](pocket_handler_error* error) {
    return api.next(turn.model.handler, stream->get(), &turn.view, &end, error);
  });
  stream->busy.store(false);
  if (!pulled.ok() || end != 0) turn.state.forget_stream(turn.header.stream);
  if (!pulled.ok()) return std::move(pulled).error();
  ReplyHeader head{};
  head.end = end != 0 ? 1 : 0;
  return head;
}

Result<ReplyHeader> take_turn(const Turn& turn) {
  switch (turn.header.operation) {
    case Operation::kOpenStream:
      return open_stream(turn);
    case Operation::kNext:
      return next_part(turn);
    case Operation::kCloseStream:
      turn.state.forget_stream(turn.header.stream);
      return ReplyHeader{};
    default:
      break;
  }
  return call_once(turn);
}

Result<void> run_checked(pocket_engine_model& model, const pocket_engine_call& engine_call,
                         std::span<const pocket_engine_input> inputs,
                         std::span<pocket_engine_output> outputs) {
  const auto message = std::find_if(inputs.begin(), inputs.end(),
                                    [](const auto& input) { return input.index == 0; });
  const std::span<const std::byte> request =
      message == inputs.end()
          ? std::span<const std::byte>()
          : std::span(static_cast<const std::byte*>(message->data), message->bytes);
  POCKET_ASSIGN_OR_RETURN(const Request read, read_request(request, *model.api));
  const RequestHeader& header = read.header;
  CallParts parts;
  parts.api = model.api;
  parts.host = model.host;
  parts.call = &engine_call;
  parts.inputs = inputs;
  parts.outputs = outputs;
  parts.deadline_ns =
      std::min(engine_call.deadline_ns, deadline_after(model.options.call_limit_ns));
  HostCall call(parts);
  const auto state = client_of(model, engine_call.client);
  if (header.number != 0) {
    if (const auto held = state->take_held(header.number)) return call.give(*held);
  }
  Watchdog::Watch watch(model.api->name, parts.deadline_ns, model.options.grace_ns,
                        HostCall::is_cancelled, &call);
  if (parts.deadline_ns < engine_call.deadline_ns) watch.set_limit();
  call.set_watch(&watch);
  const Turn turn{model, *state, header, call, call.view(read.message)};
  auto taken = take_turn(turn);
  // `cancelled` said 1 for either reason; the client is told which.
  if (!taken.ok() && taken.error().code == POCKET_CANCELLED && monotonic_ns() > parts.deadline_ns) {
    return Error{POCKET_DEADLINE_EXCEEDED, "the deadline passed before the handler was done"};
  }
  POCKET_ASSIGN_OR_RETURN(const ReplyHeader head, std::move(taken));
  POCKET_RETURN_IF_ERROR(call.finish(head));
  if (header.number != 0 && call.must_be_asked_again())
    state->hold(header.number, call.copy_answer());
  return ok_result();
}

int32_t run_call(pocket_engine_context* context, const pocket_engine_call* call,
                 const pocket_engine_input* inputs, uint32_t input_total,
                 pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  const int32_t status = contained(error, [&] {
    return run_checked(*context->model, *call, {inputs, input_total}, {outputs, output_total});
  });
  check_memory(*context->model);
  return status;
}

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  const pocket_engine_call nobodys{sizeof(nobodys), 0, 0, UINT64_MAX, nullptr, nullptr};
  return run_call(context, &nobodys, inputs, input_total, outputs, output_total, error);
}

void client_gone(pocket_engine_model* model, uint64_t client) {
  std::shared_ptr<ClientState> last;  // ended without the lock
  MutexLock lock(model->mutex);
  const auto found = model->clients.find(client);
  if (found == model->clients.end()) return;
  last = std::move(found->second);
  model->clients.erase(found);
}

constexpr pocket_engine_api kApi = {
    .abi_version = POCKET_ENGINE_ABI_VERSION,
    .struct_size = sizeof(pocket_engine_api),
    .name = "handler",
    .version = "1",
    .load = load,
    .unload = unload,
    .input_count = input_count,
    .output_count = output_count,
    .input_info = input_info,
    .output_info = output_info,
    .create_context = create_context,
    .destroy_context = destroy_context,
    .run = run,
    .expect_parallel_runs = nullptr,
    .limit_threads = nullptr,
    .run_call = run_call,
    .client_gone = client_gone,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &kApi;
}

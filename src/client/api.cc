// The C interface of pocket/pocket.h over the classes of this folder.
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/nearest.h"
#include "client/call.h"
#include "client/model.h"
#include "client/retry.h"
#include "client/session.h"
#include "pocket/pocket.h"

struct pocket_session {
  std::shared_ptr<pocket::client::Session> session;
  pocket_wait_mode wait_mode = POCKET_WAIT_ADAPTIVE;
  pocket::Mutex mutex;
  std::set<pocket_model*> models POCKET_GUARDED_BY(mutex);
  pocket::UniqueFd epoll POCKET_GUARDED_BY(mutex);  // made by pocket_session_fd
};

struct pocket_model {
  pocket_session* owner = nullptr;
  std::unique_ptr<pocket::client::Model> model;
};

struct pocket_call {
  pocket_model* owner;
  pocket::client::Call call;
};

namespace {

using pocket::Error;
using pocket::Result;

thread_local std::string last_error;

int32_t failed(const Error& error) {
  last_error = error.message;
  return error.code;
}

template <typename T>
int32_t give(Result<T> result, T* target) {
  if (!result.ok()) return failed(result.error());
  *target = std::move(result).value();
  return POCKET_OK;
}

int32_t status_of(const Result<void>& result) {
  return result.ok() ? static_cast<int32_t>(POCKET_OK) : failed(result.error());
}

int32_t missing(const char* what) {
  return failed(Error{POCKET_INVALID_ARGUMENT, std::string(what) + " must not be NULL"});
}

/// Nothing thrown may cross the C interface; only running out of memory throws here.
template <typename Body>
int32_t guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return failed(Error{POCKET_RESOURCE_EXHAUSTED, "out of memory"});
  }
}

std::string text(const char* value) { return value == nullptr ? "" : value; }

/// Registers a model's descriptor with the session's, where somebody asked for that one.
void watch_model(pocket_session& session, pocket_model& model) POCKET_REQUIRES(session.mutex) {
  if (!session.epoll.valid()) return;
  model.model->want_notify();
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(session.epoll.get(), EPOLL_CTL_ADD, model.model->current_channel()->notify_fd(),
              &event);
}

int32_t find_index(const std::vector<pocket::wire::control::TensorInfoT>& infos, const char* name,
                   const char* kind, uint32_t* index) {
  if (name == nullptr || index == nullptr) return missing("name and index");
  std::string known;
  std::vector<std::string_view> names;
  for (uint32_t position = 0; position < infos.size(); ++position) {
    if (infos[position].name == name) {
      *index = position;
      return POCKET_OK;
    }
    known += (known.empty() ? "'" : ", '") + infos[position].name + "'";
    names.push_back(infos[position].name);
  }
  const std::string nearest = pocket::nearest_word(name, names);
  return failed(
      Error{POCKET_NOT_FOUND, std::string("the model has no ") + kind + " '" + name + "'" +
                                  (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") +
                                  "; it has " + (known.empty() ? "none" : known)});
}

int32_t fill_info(const std::vector<pocket::wire::control::TensorInfoT>& infos, uint32_t index,
                  pocket_tensor_info* info) {
  if (info == nullptr) return missing("info");
  if (index >= infos.size()) {
    return failed(Error{POCKET_NOT_FOUND, "there is no tensor " + std::to_string(index)});
  }
  *info = {};
  info->name = infos[index].name.c_str();
  info->dtype = infos[index].dtype;
  info->rank = infos[index].rank;
  std::copy(infos[index].shape.begin(), infos[index].shape.end(), info->shape);
  return POCKET_OK;
}

bool good_shape(int32_t rank, const int64_t* shape) {
  return rank >= 0 && rank <= POCKET_MAX_RANK && (rank == 0 || shape != nullptr);
}

int32_t bad_shape() {
  return failed(Error{POCKET_INVALID_ARGUMENT, "rank must be 0 to 8, and shape given"});
}

}  // namespace

extern "C" {

const char* pocket_version(void) { return POCKET_VERSION_TEXT; }
const char* pocket_last_error(void) { return last_error.c_str(); }

int32_t pocket_connect(const pocket_connect_options* options, pocket_session** session) {
  if (session == nullptr) return missing("session");
  return guarded([&]() -> int32_t {
    pocket::client::SessionOptions wanted;
    auto result = std::make_unique<pocket_session>();
    if (options != nullptr) {
      // The size of the first version: programs built against it are still served.
      if (options->struct_size < offsetof(pocket_connect_options, cpu_policy)) {
        return failed(Error{POCKET_INVALID_ARGUMENT,
                            "pocket_connect_options.struct_size is not set to its size"});
      }
      wanted.socket_path = text(options->socket_path);
      wanted.client_name = text(options->client_name);
      wanted.timeout_ns = options->timeout_ns;
      wanted.reconnect = options->reconnect == 0;
      if (options->struct_size >= offsetof(pocket_connect_options, retry)) {
        wanted.cpu_policy = text(options->cpu_policy);
        wanted.mem_policy = text(options->mem_policy);
      }
      result->wait_mode = static_cast<pocket_wait_mode>(options->wait_mode);
      if (options->struct_size >= sizeof(pocket_connect_options) && options->retry != 0) {
        wanted.retry = false;
      }
    }
    wanted.retry = wanted.retry && pocket::client::retries_by_default();
    auto connected = pocket::client::Session::connect(std::move(wanted));
    if (!connected.ok()) return failed(connected.error());
    result->session = std::move(connected).value();
    *session = result.release();
    return POCKET_OK;
  });
}

void pocket_session_close(pocket_session* session) {
  if (session == nullptr) return;
  {
    pocket::MutexLock lock(session->mutex);
    for (pocket_model* model : session->models) model->owner = nullptr;
  }
  delete session;
}

int32_t pocket_session_fd(pocket_session* session, int* fd) {
  if (session == nullptr || fd == nullptr) return missing("session and fd");
  if (auto good = session->session->check_process(); !good.ok()) return failed(good.error());
  pocket::MutexLock lock(session->mutex);
  if (!session->epoll.valid()) {
    session->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!session->epoll.valid()) return failed(pocket::errno_error("epoll_create1", errno));
    epoll_event event{};
    event.events = EPOLLIN;  // a cancelled call is answered without the runner
    ::epoll_ctl(session->epoll.get(), EPOLL_CTL_ADD, session->session->event_fd(), &event);
    for (pocket_model* model : session->models) watch_model(*session, *model);
  }
  *fd = session->epoll.get();
  return POCKET_OK;
}

int32_t pocket_session_poll(pocket_session* session, uint32_t* finished) {
  if (session == nullptr) return missing("session");
  if (auto good = session->session->check_process(); !good.ok()) return failed(good.error());
  pocket::MutexLock lock(session->mutex);
  session->session->clear_event();
  uint32_t count = 0;
  for (pocket_model* model : session->models) {
    auto channel = model->model->current_channel();
    channel->clear_notify();
    count += channel->poll();
    // A channel that was opened anew has another descriptor.
    if (session->epoll.valid()) watch_model(*session, *model);
  }
  if (finished != nullptr) *finished = count;
  return POCKET_OK;
}

int32_t pocket_model_open(pocket_session* session, const char* name,
                          const pocket_open_options* options, pocket_model** model) {
  if (session == nullptr || name == nullptr || model == nullptr) {
    return missing("session, name and model");
  }
  return guarded([&]() -> int32_t {
    pocket::client::ModelOptions wanted;
    wanted.name = name;
    wanted.wait_mode = session->wait_mode;
    if (options != nullptr) {
      if (options->struct_size < sizeof(pocket_open_options)) {
        return failed(Error{POCKET_INVALID_ARGUMENT,
                            "pocket_open_options.struct_size is not set to its size"});
      }
      wanted.version = text(options->version);
      wanted.engine = text(options->engine);
      if (options->timeout_ns != 0) wanted.timeout_ns = options->timeout_ns;
    }
    auto opened = pocket::client::Model::open(session->session, std::move(wanted));
    if (!opened.ok()) return failed(opened.error());
    auto result = std::make_unique<pocket_model>();
    result->owner = session;
    result->model = std::move(opened).value();
    pocket::MutexLock lock(session->mutex);
    session->models.insert(result.get());
    watch_model(*session, *result);
    *model = result.release();
    return POCKET_OK;
  });
}

void pocket_model_close(pocket_model* model) {
  if (model == nullptr) return;
  if (model->owner != nullptr) {
    pocket::MutexLock lock(model->owner->mutex);
    model->owner->models.erase(model);
  }
  delete model;
}

const char* pocket_model_name(const pocket_model* model) { return model->model->name().c_str(); }
const char* pocket_model_version(const pocket_model* model) {
  return model->model->version().c_str();
}
const char* pocket_model_engine(const pocket_model* model) {
  return model->model->engine().c_str();
}
uint32_t pocket_model_input_count(const pocket_model* model) {
  return static_cast<uint32_t>(model->model->inputs().size());
}
uint32_t pocket_model_output_count(const pocket_model* model) {
  return static_cast<uint32_t>(model->model->outputs().size());
}
int32_t pocket_model_input_info(const pocket_model* model, uint32_t index,
                                pocket_tensor_info* info) {
  return fill_info(model->model->inputs(), index, info);
}
int32_t pocket_model_output_info(const pocket_model* model, uint32_t index,
                                 pocket_tensor_info* info) {
  return fill_info(model->model->outputs(), index, info);
}
int32_t pocket_model_input_index(const pocket_model* model, const char* name, uint32_t* index) {
  return find_index(model->model->inputs(), name, "input", index);
}
int32_t pocket_model_output_index(const pocket_model* model, const char* name, uint32_t* index) {
  return find_index(model->model->outputs(), name, "output", index);
}

int32_t pocket_model_metadata(const pocket_model* model, const char* key, const char** value) {
  if (model == nullptr || key == nullptr || value == nullptr) {
    return missing("model, key and value");
  }
  for (const auto& [known, text] : model->model->metadata()) {
    if (known == key) {
      *value = text.c_str();
      return POCKET_OK;
    }
  }
  return failed(Error{POCKET_NOT_FOUND, "the entry of model '" + model->model->name() +
                                            "' says nothing of '" + key + "'"});
}
uint32_t pocket_model_metadata_count(const pocket_model* model) {
  return static_cast<uint32_t>(model->model->metadata().size());
}
const char* pocket_model_metadata_key(const pocket_model* model, uint32_t index) {
  const auto& metadata = model->model->metadata();
  return index < metadata.size() ? metadata[index].first.c_str() : nullptr;
}

int32_t pocket_call_create(pocket_model* model, pocket_call** call) {
  if (model == nullptr || call == nullptr) return missing("model and call");
  return guarded([&]() -> int32_t {
    if (auto good = model->model->session().check_process(); !good.ok())
      return failed(good.error());
    *call = new pocket_call{model, pocket::client::Call(*model->model)};
    return POCKET_OK;
  });
}

void pocket_call_destroy(pocket_call* call) { delete call; }

int32_t pocket_call_input(pocket_call* call, uint32_t index, int32_t dtype, int32_t rank,
                          const int64_t* shape, pocket_tensor* tensor) {
  if (call == nullptr || tensor == nullptr) return missing("call and tensor");
  if (!good_shape(rank, shape)) return bad_shape();
  return guarded([&] {
    return give(call->call.set_input(index, dtype, {shape, static_cast<size_t>(rank)}), tensor);
  });
}

int32_t pocket_call_input_strings(pocket_call* call, uint32_t index, int32_t rank,
                                  const int64_t* shape, const char* const* strings,
                                  const size_t* lengths) {
  if (call == nullptr) return missing("call");
  if (!good_shape(rank, shape)) return bad_shape();
  const bool empty = std::count(shape, shape + rank, 0) > 0;  // there is nothing to point to
  if (!empty && (strings == nullptr || lengths == nullptr)) return missing("strings and lengths");
  return guarded([&] {
    return status_of(
        call->call.set_strings(index, {shape, static_cast<size_t>(rank)}, strings, lengths));
  });
}

int32_t pocket_call_input_handle(pocket_call* call, uint32_t index, uint64_t handle) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.set_input_handle(index, handle)); });
}

int32_t pocket_call_clear_input(pocket_call* call, uint32_t index) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.clear_input(index));
}

int32_t pocket_call_keep_output(pocket_call* call, uint32_t index, int32_t keep) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.keep_output(index, keep != 0));
}

int32_t pocket_call_submit(pocket_call* call, uint64_t deadline_ns) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.submit(pocket::deadline_after(deadline_ns))); });
}

int32_t pocket_call_wait(pocket_call* call, uint64_t timeout_ns) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.wait(pocket::deadline_after(timeout_ns))); });
}

int32_t pocket_call_done(const pocket_call* call) {
  return call != nullptr && const_cast<pocket_call*>(call)->call.done() ? 1 : 0;
}

int32_t pocket_call_cancel(pocket_call* call) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.cancel());
}

int32_t pocket_call_output(pocket_call* call, uint32_t index, pocket_tensor* tensor) {
  if (call == nullptr || tensor == nullptr) return missing("call and tensor");
  return give(call->call.output(index), tensor);
}

int32_t pocket_call_output_string(pocket_call* call, uint32_t index, size_t element,
                                  const char** string, size_t* length) {
  if (call == nullptr || string == nullptr || length == nullptr) {
    return missing("call, string and length");
  }
  pocket_tensor tensor{};
  if (const int32_t status = give(call->call.output(index), &tensor); status != POCKET_OK) {
    return status;
  }
  const auto count =
      pocket::element_count({tensor.shape, static_cast<size_t>(tensor.rank)}).value_or(0);
  const uint64_t head = (count + 1) * sizeof(uint64_t);
  if (tensor.dtype != POCKET_STRING || element >= count || head > tensor.bytes) {
    return failed(Error{POCKET_NOT_FOUND, "the output has no string " + std::to_string(element)});
  }
  const auto* offsets = static_cast<const uint64_t*>(tensor.data);
  const uint64_t from = offsets[element];
  const uint64_t to = offsets[element + 1];
  if (from > to || to > tensor.bytes - head) {
    return failed(Error{POCKET_DATA_LOSS, "the runner answered impossible strings"});
  }
  *string = static_cast<const char*>(tensor.data) + head + from;
  *length = to - from;
  return POCKET_OK;
}

int32_t pocket_call_output_handle(pocket_call* call, uint32_t index, uint64_t* handle) {
  if (call == nullptr || handle == nullptr) return missing("call and handle");
  return give(call->call.output_handle(index), handle);
}

int32_t pocket_call_receipt(const pocket_call* call, pocket_receipt* receipt) {
  if (call == nullptr || receipt == nullptr) return missing("call and receipt");
  return give(call->call.receipt(), receipt);
}

int32_t pocket_call_retries(const pocket_call* call, uint32_t* retries) {
  if (call == nullptr || retries == nullptr) return missing("call and retries");
  *retries = call->call.retries();
  return POCKET_OK;
}

int32_t pocket_handle_release(pocket_model* model, uint64_t handle) {
  if (model == nullptr) return missing("model");
  return guarded([&]() -> int32_t {
    auto channel = model->model->channel();
    if (!channel.ok()) return failed(channel.error());
    pocket::client::Pending pending;
    pocket::wire::Submission submission{};
    submission.opcode = pocket::wire::Opcode::kReleaseHandle;
    submission.block_offset = handle;
    if (auto sent = (*channel)->submit(submission, pending); !sent.ok())
      return failed(sent.error());
    constexpr uint64_t kReleaseNs = 10 * pocket::kNanosecondsPerSecond;
    if (!(*channel)->wait(pending, pocket::deadline_after(kReleaseNs))) {
      (*channel)->give_up(pending, POCKET_DEADLINE_EXCEEDED);
      return failed(Error{POCKET_DEADLINE_EXCEEDED, "the runner did not answer in time"});
    }
    if (pending.completion.status == POCKET_OK) return POCKET_OK;
    return failed(Error{static_cast<pocket_status>(pending.completion.status),
                        "this session keeps no tensor with handle " + std::to_string(handle)});
  });
}

}  // extern "C"

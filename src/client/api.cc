// Sessions and models in the C interface of pocket/pocket.h over the classes of this folder.
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/nearest.h"
#include "client/api_parts.h"
#include "client/retry.h"

namespace {

using pocket::Error;
using pocket::Result;

using pocket::client::failed;
using pocket::client::give;
using pocket::client::guarded;
using pocket::client::missing;
using pocket::client::status_of;

thread_local std::string last_error;

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

}  // namespace

int32_t pocket::client::failed(const Error& error) {
  last_error = error.message;
  return error.code;
}

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

}  // extern "C"

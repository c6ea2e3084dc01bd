/* The C++20 interface of a Pocket client: pocket.h with owners and exceptions.
 *
 *   pocket::Session session;                        // the service of this machine
 *   pocket::Model model(session, "mobilenetv2");
 *   pocket::Call call(model);
 *   auto input = call.input<float>(0, {1, 224, 224, 3});   // in shared memory: write here
 *   ...
 *   call.run();
 *   std::span<const float> scores = call.output(0).values<float>();
 *
 * Objects are move-only and close themselves; a model must not outlive its session, nor a call its
 * model. Functions throw StatusError. Threads, lifetimes and units are those of pocket.h.
 */
#ifndef POCKET_POCKET_HPP_
#define POCKET_POCKET_HPP_

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pocket/element_type.hpp"
#include "pocket/pocket.h"

namespace pocket {

/* A call of the C interface failed; what() is pocket_last_error(). */
class StatusError : public std::runtime_error {
 public:
  StatusError(int32_t status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int32_t status() const noexcept { return status_; }
  bool retryable() const noexcept { return pocket_status_is_retryable(status_) != 0; }

 private:
  int32_t status_;
};

inline void throw_on_failure(int32_t status) {
  if (status != POCKET_OK) throw StatusError(status, pocket_last_error());
}

/* A tensor where it lies in shared memory; valid as pocket_tensor says. */
class Tensor {
 public:
  explicit Tensor(const pocket_tensor& raw) : raw_(raw) {}
  int32_t dtype() const { return raw_.dtype; }
  std::span<const int64_t> shape() const { return {raw_.shape, static_cast<size_t>(raw_.rank)}; }
  const void* data() const { return raw_.data; }
  size_t bytes() const { return raw_.bytes; }

  /* The elements. INVALID_ARGUMENT when the tensor has another dtype. */
  template <typename T>
  std::span<const T> values() const {
    if (dtype_of<T>() != raw_.dtype) {
      throw StatusError(POCKET_INVALID_ARGUMENT, std::string("the tensor holds ") +
                                                     pocket_dtype_name(raw_.dtype) + ", not " +
                                                     pocket_dtype_name(dtype_of<T>()));
    }
    return {static_cast<const T*>(raw_.data), raw_.bytes / sizeof(T)};
  }

 private:
  pocket_tensor raw_;
};

/* Name, dtype and shape of a model's input or output; -1: any size. */
struct TensorInfo {
  std::string name;
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  bool any_rank = false;
  std::vector<int64_t> shape;
};

struct ConnectOptions {
  std::string socket = {};      /* empty: the usual places */
  std::string client_name = {}; /* empty: the program's name */
  uint64_t timeout_ns = 0;      /* 0: 10 s */
  pocket_wait_mode wait_mode = POCKET_WAIT_ADAPTIVE;
  bool reconnect = true;
  std::string cpu_policy = {}; /* how this client's budget follows its calls; empty: from the */
  std::string mem_policy = {}; /* environment, else the service's default (docs/lending.md) */
  bool retry = true; /* send calls again that a dead runner or a restart left without an answer */
};

/* A connection to one service. Any thread. */
class Session {
 public:
  explicit Session(const ConnectOptions& options = {}) {
    pocket_connect_options raw{};
    raw.struct_size = sizeof(raw);
    raw.socket_path = options.socket.empty() ? nullptr : options.socket.c_str();
    raw.client_name = options.client_name.empty() ? nullptr : options.client_name.c_str();
    raw.timeout_ns = options.timeout_ns;
    raw.wait_mode = options.wait_mode;
    raw.reconnect = options.reconnect ? 0 : 1;
    raw.cpu_policy = options.cpu_policy.empty() ? nullptr : options.cpu_policy.c_str();
    raw.mem_policy = options.mem_policy.empty() ? nullptr : options.mem_policy.c_str();
    raw.retry = options.retry ? 0 : 1;
    pocket_session* session = nullptr;
    throw_on_failure(pocket_connect(&raw, &session));
    handle_.reset(session);
  }

  /* Readable when a call was answered: for somebody else's event loop; poll() clears it. */
  int fd() const {
    int descriptor = -1;
    throw_on_failure(pocket_session_fd(handle_.get(), &descriptor));
    return descriptor;
  }
  uint32_t poll() {
    uint32_t finished = 0;
    throw_on_failure(pocket_session_poll(handle_.get(), &finished));
    return finished;
  }
  pocket_session* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(pocket_session* session) const { pocket_session_close(session); }
  };
  std::unique_ptr<pocket_session, Close> handle_;
};

struct OpenOptions {
  std::string version = {}; /* empty: the newest */
  std::string engine = {};  /* empty: the model's own choice */
  uint64_t timeout_ns = 0;  /* 0: 120 s */
};

/* An open model; loads it where it is not loaded. Any thread. */
class Model {
 public:
  Model(const Session& session, const std::string& name, const OpenOptions& options = {}) {
    pocket_open_options raw{};
    raw.struct_size = sizeof(raw);
    raw.version = options.version.empty() ? nullptr : options.version.c_str();
    raw.engine = options.engine.empty() ? nullptr : options.engine.c_str();
    raw.timeout_ns = options.timeout_ns;
    pocket_model* model = nullptr;
    throw_on_failure(pocket_model_open(session.handle(), name.c_str(), &raw, &model));
    handle_.reset(model);
  }

  std::string name() const { return pocket_model_name(handle_.get()); }
  std::string version() const { return pocket_model_version(handle_.get()); }
  std::string engine() const { return pocket_model_engine(handle_.get()); }
  std::vector<TensorInfo> inputs() const {
    return infos(pocket_model_input_count(handle_.get()), pocket_model_input_info);
  }
  std::vector<TensorInfo> outputs() const {
    return infos(pocket_model_output_count(handle_.get()), pocket_model_output_info);
  }
  uint32_t input_index(const std::string& name) const {
    uint32_t index = 0;
    throw_on_failure(pocket_model_input_index(handle_.get(), name.c_str(), &index));
    return index;
  }
  uint32_t output_index(const std::string& name) const {
    uint32_t index = 0;
    throw_on_failure(pocket_model_output_index(handle_.get(), name.c_str(), &index));
    return index;
  }
  /* What the model's entry says under a key, e.g. "labels"; nullopt when it says nothing. */
  std::optional<std::string> metadata(const std::string& key) const {
    const char* value = nullptr;
    const int32_t status = pocket_model_metadata(handle_.get(), key.c_str(), &value);
    if (status == POCKET_NOT_FOUND) return std::nullopt;
    throw_on_failure(status);
    return value;
  }
  /* Gives back a tensor that a call kept on the runner's side. */
  void release(uint64_t tensor) { throw_on_failure(pocket_handle_release(handle_.get(), tensor)); }
  pocket_model* handle() const { return handle_.get(); }

 private:
  using InfoFunction = int32_t (*)(const pocket_model*, uint32_t, pocket_tensor_info*);
  std::vector<TensorInfo> infos(uint32_t count, InfoFunction function) const {
    std::vector<TensorInfo> result;
    for (uint32_t index = 0; index < count; ++index) {
      pocket_tensor_info raw{};
      throw_on_failure(function(handle_.get(), index, &raw));
      TensorInfo info{raw.name, raw.dtype, raw.rank < 0, {}};
      if (raw.rank > 0) info.shape.assign(raw.shape, raw.shape + raw.rank);
      result.push_back(std::move(info));
    }
    return result;
  }
  struct Close {
    void operator()(pocket_model* model) const { pocket_model_close(model); }
  };
  std::unique_ptr<pocket_model, Close> handle_;
};

/* One reusable slot for running a model: set inputs, run, read outputs, run again. One thread at a
 * time, except cancel(). */
class Call {
 public:
  explicit Call(const Model& model) {
    pocket_call* call = nullptr;
    throw_on_failure(pocket_call_create(model.handle(), &call));
    handle_.reset(call);
  }

  /* Room for an input in shared memory, to be filled before run(); stays until it is set again. */
  template <typename T>
  std::span<T> input(uint32_t index, std::span<const int64_t> shape) {
    const pocket_tensor raw = input_of_dtype(index, dtype_of<T>(), shape);
    return {static_cast<T*>(raw.data), raw.bytes / sizeof(T)};
  }
  template <typename T>
  std::span<T> input(uint32_t index, std::initializer_list<int64_t> shape) {
    return input<T>(index, std::span<const int64_t>(shape.begin(), shape.size()));
  }
  /* For dtypes without a C++ type, e.g. POCKET_FLOAT16. */
  pocket_tensor input_of_dtype(uint32_t index, int32_t dtype, std::span<const int64_t> shape) {
    pocket_tensor raw{};
    throw_on_failure(pocket_call_input(handle_.get(), index, dtype,
                                       static_cast<int32_t>(shape.size()), shape.data(), &raw));
    return raw;
  }
  void input_strings(uint32_t index, std::span<const int64_t> shape,
                     std::span<const std::string> strings) {
    std::vector<const char*> pointers;
    std::vector<size_t> lengths;
    for (const auto& string : strings) {
      pointers.push_back(string.data());
      lengths.push_back(string.size());
    }
    throw_on_failure(pocket_call_input_strings(handle_.get(), index,
                                               static_cast<int32_t>(shape.size()), shape.data(),
                                               pointers.data(), lengths.data()));
  }
  /* A tensor kept on the runner's side as an input. */
  void input_kept(uint32_t index, uint64_t tensor) {
    throw_on_failure(pocket_call_input_handle(handle_.get(), index, tensor));
  }
  /* Leaves an input out that may be left out (POCKET_DTYPE_UNDEFINED in its description). */
  void clear_input(uint32_t index) {
    throw_on_failure(pocket_call_clear_input(handle_.get(), index));
  }
  void keep_output(uint32_t index, bool keep = true) {
    throw_on_failure(pocket_call_keep_output(handle_.get(), index, keep ? 1 : 0));
  }

  void submit(uint64_t deadline_ns = POCKET_FOREVER) {
    throw_on_failure(pocket_call_submit(handle_.get(), deadline_ns));
  }
  void wait(uint64_t timeout_ns = POCKET_FOREVER) {
    throw_on_failure(pocket_call_wait(handle_.get(), timeout_ns));
  }
  void run(uint64_t deadline_ns = POCKET_FOREVER) {
    submit(deadline_ns);
    wait();
  }
  bool done() const { return pocket_call_done(handle_.get()) == 1; }
  void cancel() { throw_on_failure(pocket_call_cancel(handle_.get())); }

  Tensor output(uint32_t index) const {
    pocket_tensor raw{};
    throw_on_failure(pocket_call_output(handle_.get(), index, &raw));
    return Tensor(raw);
  }
  std::string_view output_string(uint32_t index, size_t element) const {
    const char* text = nullptr;
    size_t length = 0;
    throw_on_failure(pocket_call_output_string(handle_.get(), index, element, &text, &length));
    return {text, length};
  }
  uint64_t kept_output(uint32_t index) const {
    uint64_t tensor = 0;
    throw_on_failure(pocket_call_output_handle(handle_.get(), index, &tensor));
    return tensor;
  }
  pocket_receipt receipt() const {
    pocket_receipt receipt{};
    throw_on_failure(pocket_call_receipt(handle_.get(), &receipt));
    return receipt;
  }
  /* How often it was sent again since it was submitted. */
  uint32_t retries() const {
    uint32_t count = 0;
    throw_on_failure(pocket_call_retries(handle_.get(), &count));
    return count;
  }
  pocket_call* handle() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(pocket_call* call) const { pocket_call_destroy(call); }
  };
  std::unique_ptr<pocket_call, Destroy> handle_;
};

/* Runs a model of one input and one output once: the simplest way, with a copy each way. */
template <typename T>
std::vector<T> run(const Model& model, std::span<const T> values, std::span<const int64_t> shape) {
  Call call(model);
  const std::span<T> room = call.input<T>(0, shape);
  if (room.size() != values.size()) {
    throw StatusError(POCKET_INVALID_ARGUMENT, "the values do not fill the shape");
  }
  for (size_t index = 0; index < values.size(); ++index) room[index] = values[index];
  call.run();
  const Tensor output = call.output(0);
  const std::span<const T> result = output.values<T>();
  return {result.begin(), result.end()};
}

}  // namespace pocket

#endif /* POCKET_POCKET_HPP_ */

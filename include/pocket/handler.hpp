/* Handlers in C++20: what protoc-gen-pocket's skeletons are made of. Errors are thrown as Failure
 * and reach the client as its status; anything else that is thrown as ENGINE_ERROR. See
 * docs/handlers.md; the C interface below it is pocket/handler.h.
 */
#ifndef POCKET_HANDLER_HPP_
#define POCKET_HANDLER_HPP_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pocket/element_type.hpp"
#include "pocket/handler.h"

namespace pocket::handler {

/* Ends a call with this status and text. */
class Failure : public std::runtime_error {
 public:
  Failure(pocket_status status, const std::string& text)
      : std::runtime_error(text), status_(status) {}
  pocket_status status() const noexcept { return status_; }

 private:
  pocket_status status_;
};

/* A tensor that somebody else owns. */
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(const pocket_handler_tensor& raw) : raw_(raw) {}
  /* Values of the handler's own, which outlive the use. */
  template <typename T>
  static Tensor of(std::span<const T> values, std::span<const int64_t> shape) {
    pocket_handler_tensor raw{};
    raw.dtype = dtype_of<T>();
    if (shape.size() > POCKET_MAX_RANK)
      throw Failure(POCKET_INVALID_ARGUMENT, "too many dimensions");
    raw.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), raw.shape);
    raw.data = values.data();
    raw.bytes = values.size_bytes();
    return Tensor(raw);
  }

  bool given() const { return raw_.dtype != POCKET_DTYPE_UNDEFINED; }
  int32_t dtype() const { return raw_.dtype; }
  std::span<const int64_t> shape() const { return {raw_.shape, static_cast<size_t>(raw_.rank)}; }
  const pocket_handler_tensor& raw() const { return raw_; }

  /* The elements; fails with INVALID_ARGUMENT when the tensor has another type. Elements of
   * floating types may change while they are read, where they are the client's. */
  template <typename T>
  std::span<const T> values() const {
    if (dtype_of<T>() != raw_.dtype) {
      throw Failure(POCKET_INVALID_ARGUMENT, std::string("the tensor holds ") +
                                                 element_type_name(raw_.dtype) + ", not " +
                                                 element_type_name(dtype_of<T>()));
    }
    return {static_cast<const T*>(raw_.data), raw_.bytes / sizeof(T)};
  }

 private:
  pocket_handler_tensor raw_{};
};

/* One call, from its beginning to its answer; the thread's own. */
class Context {
 public:
  explicit Context(const pocket_handler_call& call) : call_(call) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /* Ask now and then in long work. */
  bool cancelled() const { return call_.cancelled(call_.host) != 0; }
  void fail_if_cancelled() const {
    if (cancelled()) throw Failure(POCKET_CANCELLED, "nobody waits for the answer any more");
  }
  uint64_t deadline_ns() const { return call_.deadline_ns; } /* CLOCK_MONOTONIC; UINT64_MAX: none */

  /* Tensor `index` beside the request; fails with INVALID_ARGUMENT when the client gave none. */
  Tensor tensor(uint32_t index) const {
    const Tensor found = optional_tensor(index);
    if (found.given()) return found;
    throw Failure(POCKET_INVALID_ARGUMENT, "tensor " + std::to_string(index) + " is missing");
  }
  Tensor optional_tensor(uint32_t index) const {
    return index < call_.tensor_count ? Tensor(call_.tensors[index]) : Tensor();
  }

  /* Room for tensor `index` beside the reply. */
  template <typename T>
  std::span<T> reply_tensor(uint32_t index, std::span<const int64_t> shape) {
    size_t count = 1;
    for (const int64_t size : shape) {
      if (size < 0 || (size > 0 && count > SIZE_MAX / sizeof(T) / static_cast<size_t>(size))) {
        throw Failure(POCKET_INVALID_ARGUMENT, "the answer's shape is negative or too large");
      }
      count *= static_cast<size_t>(size);
    }
    void* room = raw_reply_tensor(index, dtype_of<T>(), shape, count * sizeof(T));
    return {static_cast<T*>(room), count};
  }
  template <typename T>
  std::span<T> reply_tensor(uint32_t index, std::initializer_list<int64_t> shape) {
    return reply_tensor<T>(index, std::span<const int64_t>(shape.begin(), shape.size()));
  }
  void reply_copy(uint32_t index, const Tensor& tensor) {
    void* room = raw_reply_tensor(index, tensor.dtype(), tensor.shape(), tensor.raw().bytes);
    if (tensor.raw().bytes > 0) std::memcpy(room, tensor.raw().data, tensor.raw().bytes);
  }
  void* raw_reply_tensor(uint32_t index, int32_t dtype, std::span<const int64_t> shape,
                         size_t bytes) {
    void* room = call_.tensor(call_.host, index, dtype, static_cast<int32_t>(shape.size()),
                              shape.data(), bytes);
    if (room != nullptr) return room;
    throw Failure(POCKET_RESOURCE_EXHAUSTED,
                  "no room for tensor " + std::to_string(index) + " of the answer");
  }

  /* Runs a model that the entry's `uses` names. The outputs are valid until the call ends. */
  std::vector<Tensor> run(const std::string& model, std::span<const Tensor> inputs,
                          uint32_t outputs) {
    std::vector<pocket_handler_tensor> given, made(outputs);
    for (const auto& input : inputs) given.push_back(input.raw());
    pocket_handler_error error;
    error.message[0] = '\0';
    const int32_t status =
        call_.run_model(call_.host, model.c_str(), given.data(),
                        static_cast<uint32_t>(given.size()), made.data(), outputs, &error);
    if (status != POCKET_OK) throw Failure(static_cast<pocket_status>(status), error.message);
    return {made.begin(), made.end()};
  }

  const pocket_handler_call& raw() const { return call_; }

 private:
  const pocket_handler_call& call_;
};

/* An answer in parts: next() is called for each, by one thread at a time. */
template <typename Reply>
class Parts {
 public:
  virtual ~Parts() = default;
  /* Fills the next part; false: there is none. */
  virtual bool next(Context& context, Reply& reply) = 0;
};

/* What a handler is made with. */
struct Setup {
  std::string folder; /* of its entry's version */
  uint32_t threads = 1;
  std::vector<std::pair<std::string, std::string>> options; /* [options] of its entry */

  std::optional<std::string> option(const std::string& key) const {
    for (const auto& [known, value] : options) {
      if (known == key) return value;
    }
    return std::nullopt;
  }
};

/* --- what generated code uses --------------------------------------------------------------- */

/* A request or reply is a protocol buffer message of any generated class. */
template <typename Message>
Message parse(const Context& context) {
  Message message;
  if (context.raw().request_bytes > INT32_MAX ||
      !message.ParseFromArray(context.raw().request,
                              static_cast<int>(context.raw().request_bytes))) {
    throw Failure(POCKET_DATA_LOSS, "the request is not a " + std::string(message.GetTypeName()));
  }
  return message;
}

template <typename Message>
void answer(Context& context, const Message& message) {
  const size_t bytes = message.ByteSizeLong();
  void* room = bytes > INT32_MAX ? nullptr : context.raw().reply(context.raw().host, bytes);
  if (room == nullptr || !message.SerializeToArray(room, static_cast<int>(bytes))) {
    throw Failure(POCKET_RESOURCE_EXHAUSTED, "no room for the answer");
  }
}

/* An open answer, whatever its messages. */
class AnyParts {
 public:
  virtual ~AnyParts() = default;
  virtual bool next(Context& context) = 0;
};

template <typename Reply>
std::unique_ptr<AnyParts> erase(std::unique_ptr<Parts<Reply>> parts) {
  class Erased : public AnyParts {
   public:
    explicit Erased(std::unique_ptr<Parts<Reply>> inner) : inner_(std::move(inner)) {}
    bool next(Context& context) override {
      Reply reply;
      if (!inner_->next(context, reply)) return false;
      answer(context, reply);
      return true;
    }

   private:
    std::unique_ptr<Parts<Reply>> inner_;
  };
  if (parts == nullptr) throw Failure(POCKET_INTERNAL, "the handler gave no parts");
  return std::make_unique<Erased>(std::move(parts));
}

/* The C interface over a class. `Service` is generated: kName, kDigest, kMethods, kTensorsIn,
 * kTensorsOut, call(), open(). Each client has an object of `Handler` of its own, made from a Setup
 * with its first call; calls of one client follow each other. */
template <typename Service, typename Handler>
class Glue {
 public:
  static const pocket_handler_api* api() {
    static const pocket_handler_api made = [] {
      pocket_handler_api api{};
      api.abi_version = POCKET_HANDLER_ABI_VERSION;
      api.struct_size = sizeof(api);
      api.name = Service::kName;
      std::copy(std::begin(Service::kDigest), std::end(Service::kDigest), api.digest);
      api.methods = Service::kMethods;
      api.method_count = static_cast<uint32_t>(std::size(Service::kMethods));
      api.tensors_in = Service::kTensorsIn;
      api.tensors_out = Service::kTensorsOut;
      api.load = load;
      api.unload = unload;
      api.client_came = client_came;
      api.client_gone = client_gone;
      api.call = call;
      api.open_stream = open_stream;
      api.next = next;
      api.close_stream = close_stream;
      return api;
    }();
    return &made;
  }

 private:
  struct Client {
    explicit Client(const Setup& setup) : handler(setup) {}
    std::timed_mutex turn;
    Handler handler;
  };
  struct Stream {
    Client* client;
    std::unique_ptr<AnyParts> parts;
  };

  static int32_t fail(pocket_handler_error* error, int32_t status, const char* text) {
    std::strncpy(error->message, text, sizeof(error->message) - 1);
    error->message[sizeof(error->message) - 1] = '\0';
    return status;
  }
  template <typename Body>
  static int32_t guarded(pocket_handler_error* error, Body body) {
    try {
      body();
      return POCKET_OK;
    } catch (const Failure& failure) {
      return fail(error, failure.status(), failure.what());
    } catch (const std::bad_alloc&) {
      return fail(error, POCKET_RESOURCE_EXHAUSTED, "the handler has no memory left");
    } catch (const std::exception& thrown) {
      const std::string text = std::string(Service::kName) + " threw: " + thrown.what();
      return fail(error, POCKET_ENGINE_ERROR, text.c_str());
    }
  }
  /* The client's turn; whoever waits for it goes when nobody waits for him. */
  static std::unique_lock<std::timed_mutex> take_turn(Client& client, const Context& context) {
    std::unique_lock<std::timed_mutex> lock(client.turn, std::defer_lock);
    while (!lock.try_lock_for(std::chrono::milliseconds(5))) context.fail_if_cancelled();
    return lock;
  }

  static int32_t load(const pocket_handler_load_options* options, pocket_handler** handler,
                      pocket_handler_error* error) {
    return guarded(error, [&] {
      auto setup = std::make_unique<Setup>();
      setup->folder = options->folder;
      setup->threads = options->threads;
      for (size_t index = 0; index < options->option_count; ++index) {
        setup->options.emplace_back(options->options[index].key, options->options[index].value);
      }
      *handler = reinterpret_cast<pocket_handler*>(setup.release());
    });
  }
  static void unload(pocket_handler* handler) { delete reinterpret_cast<Setup*>(handler); }
  static int32_t client_came(pocket_handler* handler, pocket_handler_client** client,
                             pocket_handler_error* error) {
    return guarded(error, [&] {
      *client = reinterpret_cast<pocket_handler_client*>(
          new Client(*reinterpret_cast<const Setup*>(handler)));
    });
  }
  static void client_gone(pocket_handler*, pocket_handler_client* client) {
    delete reinterpret_cast<Client*>(client);
  }
  static int32_t call(pocket_handler*, pocket_handler_client* client, uint32_t method,
                      const pocket_handler_call* raw, pocket_handler_error* error) {
    return guarded(error, [&] {
      Client& mine = *reinterpret_cast<Client*>(client);
      Context context(*raw);
      const auto turn = take_turn(mine, context);
      Service::call(mine.handler, method, context);
    });
  }
  static int32_t open_stream(pocket_handler*, pocket_handler_client* client, uint32_t method,
                             const pocket_handler_call* raw, pocket_handler_stream** stream,
                             pocket_handler_error* error) {
    return guarded(error, [&] {
      Client& mine = *reinterpret_cast<Client*>(client);
      Context context(*raw);
      const auto turn = take_turn(mine, context);
      auto opened = std::make_unique<Stream>();
      opened->client = &mine;
      opened->parts = Service::open(mine.handler, method, context);
      *stream = reinterpret_cast<pocket_handler_stream*>(opened.release());
    });
  }
  static int32_t next(pocket_handler*, pocket_handler_stream* stream,
                      const pocket_handler_call* raw, int32_t* end, pocket_handler_error* error) {
    return guarded(error, [&] {
      Stream& mine = *reinterpret_cast<Stream*>(stream);
      Context context(*raw);
      const auto turn = take_turn(*mine.client, context);
      *end = mine.parts->next(context) ? 0 : 1;
    });
  }
  static void close_stream(pocket_handler*, pocket_handler_stream* stream) {
    delete reinterpret_cast<Stream*>(stream);
  }
};

} /* namespace pocket::handler */

/* Exports a handler from its library: POCKET_HANDLER(generated service, class). Once in a library.
 */
#define POCKET_HANDLER(service, handler_class)                                \
  extern "C" __attribute__((visibility("default"))) const pocket_handler_api* \
  pocket_handler_entry(uint32_t) {                                            \
    return pocket::handler::Glue<service, handler_class>::api();              \
  }

#endif /* POCKET_HANDLER_HPP_ */

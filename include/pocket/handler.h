/* Handler interface (C ABI, version 1, append-only): code of an application's own that runs beside
 * the models, in a runner of the service.
 *
 * A handler is a shared library that exports one symbol, `pocket_handler_entry`, of type
 * pocket_handler_entry_function. The repository's entry model.handler names it
 * (docs/handlers.md). protoc-gen-pocket writes such a library's outside from a .proto file; the
 * bytes that clients send are described in docs/format-handler.md.
 *
 * Conventions
 *  - Functions return pocket_status numbers. On failure they fill `error->message`, which the
 * client gets. They do not exit and should not throw; what is thrown ends the call with
 * ENGINE_ERROR.
 *  - A request lies in memory that nobody changes. Tensors of floating and complex types lie where
 *    the client can write while the handler reads (they are numbers whatever it writes); all others
 *    are private copies.
 *  - Threads: calls run at the same time on several threads, those of one client too. `load` and
 *    `unload` have the handler for themselves.
 *  - A handler that goes on after `cancelled` says 1, or after the deadline, for longer than its
 *    entry allows (`grace_ms`) has its runner ended and started anew.
 */
#ifndef POCKET_HANDLER_H_
#define POCKET_HANDLER_H_

#include <stddef.h>
#include <stdint.h>

#include "pocket/dtype.h"
#include "pocket/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POCKET_HANDLER_ABI_VERSION 1u
#define POCKET_HANDLER_ENTRY_SYMBOL "pocket_handler_entry"
#define POCKET_HANDLER_MAX_TENSORS 8u   /* in, and out, of one call, beside the messages */
#define POCKET_HANDLER_DIGEST_BYTES 16u /* of an interface, see pocket_handler_api */

typedef struct pocket_handler pocket_handler; /* a loaded handler; its own */
typedef struct pocket_handler_client
    pocket_handler_client; /* what it keeps for a client; its own */
typedef struct pocket_handler_stream pocket_handler_stream; /* an answer in parts; its own */

typedef struct pocket_handler_error {
  char message[1024]; /* NUL-terminated */
} pocket_handler_error;

/* A tensor where it lies. dtype POCKET_DTYPE_UNDEFINED: there is none. */
typedef struct pocket_handler_tensor {
  int32_t dtype;
  int32_t rank;
  int64_t shape[POCKET_MAX_RANK];
  const void* data; /* row-major, aligned to 64 bytes; strings as in docs/format-tensor.md */
  size_t bytes;
} pocket_handler_tensor;

/* What the host does for a call; valid while the call runs, for its thread only (`cancelled`: any
 * thread). */
typedef struct pocket_handler_call {
  uint32_t struct_size;
  uint32_t tensor_count; /* tensors given, with holes where the client left one out */
  const void* request;   /* the message */
  size_t request_bytes;
  const pocket_handler_tensor* tensors;
  uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
  void* host;           /* to be handed to the functions below */

  /* 1 once nobody waits for the answer any more: the handler should return POCKET_CANCELLED. */
  int32_t (*cancelled)(const void* host);
  /* Room for the answer's message, `bytes` long. NULL: no memory. The last call counts. */
  void* (*reply)(void* host, size_t bytes);
  /* Room for tensor `index` of the answer. NULL: no memory, or an impossible shape or index. For
   * POCKET_STRING `bytes` counts, else it must be what dtype and shape ask for. */
  void* (*tensor)(void* host, uint32_t index, int32_t dtype, int32_t rank, const int64_t* shape,
                  size_t bytes);
  /* Runs a model that the entry's `uses` names. Inputs by index, a hole is left out; `outputs`
   * takes the first `output_count` outputs, valid until the call ends. */
  int32_t (*run_model)(void* host, const char* model, const pocket_handler_tensor* inputs,
                       uint32_t input_count, pocket_handler_tensor* outputs, uint32_t output_count,
                       pocket_handler_error* error);
} pocket_handler_call;

typedef struct pocket_handler_option {
  const char* key;
  const char* value;
} pocket_handler_option;

typedef struct pocket_handler_load_options {
  uint32_t struct_size;
  uint32_t threads;                     /* how many its calls together may keep busy */
  const char* folder;                   /* of the entry's version: where its files lie */
  const pocket_handler_option* options; /* the entry's [options], without those of the host */
  size_t option_count;
} pocket_handler_load_options;

typedef struct pocket_handler_method {
  const char* name;   /* "Judge" */
  uint32_t streaming; /* 1: answers in parts, through open_stream and next */
  uint32_t reserved;
} pocket_handler_method;

typedef struct pocket_handler_api {
  uint32_t abi_version; /* POCKET_HANDLER_ABI_VERSION */
  uint32_t struct_size; /* sizeof(pocket_handler_api) as the handler knows it */
  const char* name;     /* "myapp.Sentiment" */
  /* The first bytes of the SHA-256 of the interface. A client that was built for another one is
   * told so (VERSION_MISMATCH). All zero: nothing is compared. */
  uint8_t digest[POCKET_HANDLER_DIGEST_BYTES];
  const pocket_handler_method* methods;
  uint32_t method_count;
  uint32_t tensors_in;  /* how many tensors a call may bring, at most POCKET_HANDLER_MAX_TENSORS */
  uint32_t tensors_out; /* and an answer */
  uint32_t reserved;

  int32_t (*load)(const pocket_handler_load_options* options, pocket_handler** handler,
                  pocket_handler_error* error);
  void (*unload)(pocket_handler* handler);
  /* A client's first call, and after its last one. Both NULL: nothing is kept for clients, and
   * `client` is NULL below. */
  int32_t (*client_came)(pocket_handler* handler, pocket_handler_client** client,
                         pocket_handler_error* error);
  void (*client_gone)(pocket_handler* handler, pocket_handler_client* client);
  /* One call of a method that does not stream. */
  int32_t (*call)(pocket_handler* handler, pocket_handler_client* client, uint32_t method,
                  const pocket_handler_call* call, pocket_handler_error* error);

  /* --- methods that stream; all NULL where there are none. One thread at a time for each stream.
   */
  /* Starts an answer. Nothing is answered yet; `call` has no room for a reply. */
  int32_t (*open_stream)(pocket_handler* handler, pocket_handler_client* client, uint32_t method,
                         const pocket_handler_call* call, pocket_handler_stream** stream,
                         pocket_handler_error* error);
  /* The next part; *end = 1: there is none, the answer is complete. A failure ends the stream. */
  int32_t (*next)(pocket_handler* handler, pocket_handler_stream* stream,
                  const pocket_handler_call* call, int32_t* end, pocket_handler_error* error);
  /* After its end, a failure, or when the client wants no more. Before client_gone. */
  void (*close_stream)(pocket_handler* handler, pocket_handler_stream* stream);
} pocket_handler_api;

typedef const pocket_handler_api* (*pocket_handler_entry_function)(uint32_t host_abi_version);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKET_HANDLER_H_ */

/* Engine plugin interface (C ABI, version 1, append-only).
 *
 * A plugin is a shared library `libpocket-engine-<name>.so` that exports one symbol,
 * `pocket_engine_entry`, of type pocket_engine_entry_function. pocket-runner (and each
 * monolithic twin of an app) loads it with dlopen and refuses it when
 * `abi_version` differs from POCKET_ENGINE_ABI_VERSION or `struct_size` is smaller than
 * the part of the table the host needs.
 *
 * Conventions
 *  - Functions return pocket_status numbers. On failure they fill `error->message` (always
 *    NUL-terminated) with the engine's own words; they never print, exit or throw.
 *  - Strings the engine returns live as long as the object they were asked from.
 *  - Memory: the caller owns inputs and outputs; they stay valid until `run` returns.
 *  - Threads: `load`/`unload` may be called from any thread, one at a time per model. One
 *    context is used by one thread at a time; different contexts of one model run at the
 *    same time.
 *  - Inputs may lie in memory that another process changes while the engine reads it
 *    (shared with a client). The host copies integer, bool and string inputs first, so an engine
 *    never sees an index change under it; float inputs may be used where they lie.
 */
#ifndef POCKET_ENGINE_H_
#define POCKET_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#include "pocket/dtype.h"
#include "pocket/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POCKET_ENGINE_ABI_VERSION 1u
#define POCKET_ENGINE_ENTRY_SYMBOL "pocket_engine_entry"

typedef struct pocket_engine_model pocket_engine_model;     /* a loaded model, engine-owned */
typedef struct pocket_engine_context pocket_engine_context; /* one call at a time */

typedef struct pocket_engine_error {
  char message[1024];
} pocket_engine_error;

/* Name and shape of one input or output. A dimension of -1 is dynamic. rank -1: unknown rank.
 * dtype POCKET_DTYPE_UNDEFINED: any type, and such an input may be left out of a call. */
typedef struct pocket_engine_tensor_info {
  const char* name; /* never NULL, may be "" */
  int32_t dtype;    /* pocket_dtype */
  int32_t rank;     /* -1 .. POCKET_MAX_RANK */
  int64_t shape[POCKET_MAX_RANK];
} pocket_engine_tensor_info;

typedef struct pocket_engine_option {
  const char* key;
  const char* value;
} pocket_engine_option;

/* What the host knows of a call; later hosts say more, at the end. */
typedef struct pocket_engine_call {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t client;      /* whose call it is, for state kept for each client; 0: the host's own */
  uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
  /* 1 once nobody waits for the answer any more. Any thread; NULL: never. */
  int32_t (*cancelled)(const void* context);
  const void* context;
} pocket_engine_call;

struct pocket_engine_input;
struct pocket_engine_output;

/* Another model of the same process, for engines that put models together. */
typedef struct pocket_engine_peer pocket_engine_peer;

/* What a host offers to a model it loads: the models that its entry names. Valid until `unload`;
 * any thread. Functions return pocket_status numbers. */
typedef struct pocket_engine_host {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* NOT_FOUND: the entry names no such model; the message lists those that it does name. */
  int32_t (*find)(void* context, const char* name, pocket_engine_peer** peer,
                  pocket_engine_error* error);
  uint32_t (*input_count)(const pocket_engine_peer* peer);
  uint32_t (*output_count)(const pocket_engine_peer* peer);
  int32_t (*input_info)(const pocket_engine_peer* peer, uint32_t index,
                        pocket_engine_tensor_info* info);
  int32_t (*output_info)(const pocket_engine_peer* peer, uint32_t index,
                         pocket_engine_tensor_info* info);
  /* Runs it once, in this thread. Every input is checked as a client's would be. */
  int32_t (*run)(pocket_engine_peer* peer, const pocket_engine_call* call,
                 const struct pocket_engine_input* inputs, uint32_t input_count,
                 struct pocket_engine_output* outputs, uint32_t output_count,
                 pocket_engine_error* error);
} pocket_engine_host;

/* Keys every engine understands (a key it does not know is POCKET_INVALID_ARGUMENT):
 *   "precision"  "float32" (default) or "auto" (whatever the engine prefers, e.g. bfloat16)
 *   "cache_dir"  folder for compiled artefacts; absent: no cache
 * Any other key is the engine's own, documented in docs/engines.md. */
typedef struct pocket_engine_load_options {
  uint32_t struct_size;
  const char* model_path; /* file, or folder for a SavedModel */
  uint32_t threads;       /* CPU threads the model may use in total; at least 1 */
  uint32_t concurrency;   /* contexts that may run at the same time; at least 1 */
  const pocket_engine_option* options;
  size_t option_count;
  const pocket_engine_host* host; /* NULL: the model is alone */
  /* Descriptor of an empty file on a disk that has no name, for reading and writing: what the
   * engine can read back from there need not stay in memory. Valid until `load` returns, a mapping
   * of it longer. -1: none. An engine that cannot use it loads as without it, and says why in
   * `error->message`, although it returns POCKET_OK: the host logs that. */
  int32_t scratch;
  /* 1: the host calls `give_back` whenever the model rests, and gives free heap back to the system
   * itself: what calls need is better not kept in pools of the engine's own. */
  int32_t rests;
} pocket_engine_load_options;

typedef struct pocket_engine_input {
  uint32_t index; /* of the model's inputs; each of them exactly once */
  int32_t dtype;
  int32_t rank;
  int32_t reserved;
  int64_t shape[POCKET_MAX_RANK];
  const void* data; /* row-major, aligned to 64 bytes; strings as in docs/format-tensor.md */
  size_t bytes;
} pocket_engine_input;

/* One wanted output. The host sets `index` and, when it already has room, `data` and
 * `capacity`. The engine sets dtype, rank, shape, bytes and writes the values to `data`; when
 * `data` is NULL or `capacity` too small it calls `allocate`, which returns room for `bytes`
 * (64-byte aligned, valid until the host is done with the call) or NULL when there is none
 * (then `run` returns POCKET_RESOURCE_EXHAUSTED). */
typedef struct pocket_engine_output {
  uint32_t index;
  int32_t dtype;
  int32_t rank;
  int32_t reserved;
  int64_t shape[POCKET_MAX_RANK];
  void* data;
  size_t capacity;
  size_t bytes;
  void* (*allocate)(void* allocate_context, uint32_t index, size_t bytes);
  void* allocate_context;
} pocket_engine_output;

typedef struct pocket_engine_api {
  uint32_t abi_version; /* POCKET_ENGINE_ABI_VERSION */
  uint32_t struct_size; /* sizeof(pocket_engine_api) as the plugin knows it */
  const char* name;     /* "openvino" */
  const char* version;  /* of the engine itself, "2026.4.1" */

  int32_t (*load)(const pocket_engine_load_options* options, pocket_engine_model** model,
                  pocket_engine_error* error);
  void (*unload)(pocket_engine_model* model);

  uint32_t (*input_count)(const pocket_engine_model* model);
  uint32_t (*output_count)(const pocket_engine_model* model);
  int32_t (*input_info)(const pocket_engine_model* model, uint32_t index,
                        pocket_engine_tensor_info* info);
  int32_t (*output_info)(const pocket_engine_model* model, uint32_t index,
                         pocket_engine_tensor_info* info);

  int32_t (*create_context)(pocket_engine_model* model, pocket_engine_context** context,
                            pocket_engine_error* error);
  void (*destroy_context)(pocket_engine_context* context);

  /* Runs the model once. Blocks until the outputs are written. */
  int32_t (*run)(pocket_engine_context* context, const pocket_engine_input* inputs,
                 uint32_t input_count, pocket_engine_output* outputs, uint32_t output_count,
                 pocket_engine_error* error);

  /* Tells the engine how many calls of the model run now, the one about to start among them (0:
   * none), so that it can divide its threads. Cheap; called before every run; may be NULL. */
  void (*expect_parallel_runs)(pocket_engine_model* model, uint32_t runs);

  /* Tells the engine how many threads its runs may keep busy in total from now on, because the
   * processor time they may use has changed (0: as many as it was loaded with). Takes effect at
   * once where the engine can, also for a run under way; any thread; may be NULL. */
  void (*limit_threads)(pocket_engine_model* model, uint32_t threads);

  /* As `run`, for engines that must know whose call it is; then called instead. May be NULL. */
  int32_t (*run_call)(pocket_engine_context* context, const pocket_engine_call* call,
                      const pocket_engine_input* inputs, uint32_t input_count,
                      pocket_engine_output* outputs, uint32_t output_count,
                      pocket_engine_error* error);

  /* No call of this client comes any more, and none runs. Any thread; may be NULL. */
  void (*client_gone)(pocket_engine_model* model, uint64_t client);

  /* No call has run for a while: what only calls need may go, and comes again with the next one,
   * which may start meanwhile. Any thread, one at a time; may be NULL. */
  void (*give_back)(pocket_engine_model* model);
} pocket_engine_api;

typedef const pocket_engine_api* (*pocket_engine_entry_function)(uint32_t host_abi_version);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKET_ENGINE_H_ */

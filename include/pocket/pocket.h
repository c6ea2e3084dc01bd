/* libpocket: the C interface of a Pocket client (ABI 1, append-only).
 *
 * A session is a connection to one service. A model is opened in a session. A call is one
 * reusable slot for running a model: set inputs, submit, wait, read outputs, submit again.
 * Tensors are written and read where they lie in memory shared with the runner: no copies.
 *
 * Conventions
 *  - Functions that can fail return a pocket_status number (0 is success); the thread's
 *    pocket_last_error() then says what was called, on what, and what to do next.
 *  - Objects are opaque; each *_close/_destroy accepts NULL. Close calls before their model and
 *    models before their session; a session closed first makes the others fail, not crash.
 *  - Threads: a session and a model may be used from many threads at once. One call belongs to
 *    one thread at a time, except pocket_call_cancel, which any thread may use.
 *  - fork: in the child every function fails with POCKET_FAILED_PRECONDITION (closing is allowed).
 *  - Times are nanoseconds. A timeout of 0 does not wait; POCKET_FOREVER waits as long as it takes.
 */
#ifndef POCKET_POCKET_H_
#define POCKET_POCKET_H_

#include <stddef.h>
#include <stdint.h>

#include "pocket/dtype.h"
#include "pocket/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define POCKET_FOREVER UINT64_MAX

typedef struct pocket_session pocket_session;
typedef struct pocket_model pocket_model;
typedef struct pocket_call pocket_call;

typedef enum pocket_wait_mode {
  POCKET_WAIT_ADAPTIVE = 0, /* spin while an answer is expected within microseconds, else park */
  POCKET_WAIT_SPIN = 1,     /* always spin: lowest latency, one core busy while waiting */
  POCKET_WAIT_PARK = 2      /* always sleep: no processor time while waiting */
} pocket_wait_mode;

typedef struct pocket_connect_options {
  uint32_t struct_size;    /* sizeof(pocket_connect_options) */
  const char* socket_path; /* NULL: POCKET_SOCKET, $XDG_RUNTIME_DIR/pocket/pocket.sock,
                              /run/pocket/pocket.sock, the first that is set or exists */
  const char* client_name; /* shown by `pocket service status`; NULL: the program's name */
  uint64_t timeout_ns;     /* for connecting; 0: 10 s */
  int32_t wait_mode;       /* pocket_wait_mode */
  int32_t reconnect; /* 0: reconnect by itself when the service comes back (default); 1: never */
  /* How this client's own budget follows its calls, e.g. "func,ratio,0.5" (docs/lending.md). NULL:
   * POCKET_CPU_POLICY and POCKET_MEM_POLICY, else the service's default. */
  const char* cpu_policy;
  const char* mem_policy;
  /* 0: calls that a dead runner, a restart or a full queue kept from being answered are sent again
   * by pocket_call_wait within their deadline, 10 s without one (default; POCKET_RETRY=0 in the
   * environment turns it off); 1: never. */
  int32_t retry;
  int32_t reserved;
} pocket_connect_options;

typedef struct pocket_tensor_info {
  const char* name;               /* valid as long as the model is open */
  int32_t dtype;                  /* POCKET_DTYPE_UNDEFINED: any type; may be left out of a call */
  int32_t rank;                   /* -1: any rank */
  int64_t shape[POCKET_MAX_RANK]; /* -1: any size */
} pocket_tensor_info;

/* A tensor where it lies. `data` of an input is writable until submit; `data` of an output is
 * read-only and valid until the call is submitted again or destroyed. */
typedef struct pocket_tensor {
  int32_t dtype;
  int32_t rank;
  int64_t shape[POCKET_MAX_RANK];
  void* data;
  size_t bytes;
} pocket_tensor;

typedef struct pocket_open_options {
  uint32_t struct_size;
  const char* version; /* NULL: the newest */
  const char* engine;  /* NULL: the model's own choice */
  uint64_t timeout_ns; /* for loading; 0: 120 s */
} pocket_open_options;

/* What one answered call cost on the runner's side, also one that failed. */
typedef struct pocket_receipt {
  uint64_t queue_ns;          /* from submission seen by the runner to start of the engine */
  uint64_t compute_ns;        /* inside the engine; 0: it did not run */
  uint64_t cpu_ns;            /* processor time of all threads that worked for it */
  uint64_t bytes_in;          /* of the inputs in shared memory */
  uint64_t bytes_out;         /* of the outputs there; kept ones do not count */
  uint32_t lent_cpu;          /* what this client lent, in thousandths of a processor */
  uint32_t borrowed_cpu;      /* what the runner had borrowed from all its clients, likewise */
  uint32_t lent_memory_pages; /* what this client lent, in pages of 4096 bytes */
  uint32_t retry_after_us;    /* POCKET_BUSY: try again after so many microseconds; 0: unknown */
  uint64_t reserved;
} pocket_receipt;

POCKET_API const char* pocket_version(void);    /* "0.1.0" */
POCKET_API const char* pocket_last_error(void); /* this thread's last failure; never NULL */

/* --- session ------------------------------------------------------------------------------- */
POCKET_API int32_t pocket_connect(const pocket_connect_options* options, pocket_session** session);
POCKET_API void pocket_session_close(pocket_session* session);
/* Readable when some call of the session has been answered: for somebody else's event loop.
 * Owned by the session. Read nothing from it; pocket_session_poll() clears it. */
POCKET_API int32_t pocket_session_fd(pocket_session* session, int* fd);
/* Takes in finished answers without waiting; *finished (may be NULL) counts them. */
POCKET_API int32_t pocket_session_poll(pocket_session* session, uint32_t* finished);

/* --- model --------------------------------------------------------------------------------- */
POCKET_API int32_t pocket_model_open(pocket_session* session, const char* name,
                                     const pocket_open_options* options, pocket_model** model);
POCKET_API void pocket_model_close(pocket_model* model);
POCKET_API const char* pocket_model_name(const pocket_model* model);
POCKET_API const char* pocket_model_version(const pocket_model* model);
POCKET_API const char* pocket_model_engine(const pocket_model* model);
POCKET_API uint32_t pocket_model_input_count(const pocket_model* model);
POCKET_API uint32_t pocket_model_output_count(const pocket_model* model);
POCKET_API int32_t pocket_model_input_info(const pocket_model* model, uint32_t index,
                                           pocket_tensor_info* info);
POCKET_API int32_t pocket_model_output_info(const pocket_model* model, uint32_t index,
                                            pocket_tensor_info* info);
POCKET_API int32_t pocket_model_input_index(const pocket_model* model, const char* name,
                                            uint32_t* index);
POCKET_API int32_t pocket_model_output_index(const pocket_model* model, const char* name,
                                             uint32_t* index);
/* What the model's entry says of it: "description", "licence", "source", "labels" (class names, one
 * a line), "image.layout" and others (docs/format-repository.md). The texts live as long as the
 * model is open. NOT_FOUND: the entry does not say it. */
POCKET_API int32_t pocket_model_metadata(const pocket_model* model, const char* key,
                                         const char** value);
POCKET_API uint32_t pocket_model_metadata_count(const pocket_model* model);
/* The key of entry `index`; NULL when there are not that many. */
POCKET_API const char* pocket_model_metadata_key(const pocket_model* model, uint32_t index);

/* --- call ---------------------------------------------------------------------------------- */
POCKET_API int32_t pocket_call_create(pocket_model* model, pocket_call** call);
/* Cancels a call in flight. Does not wait: memory that the runner may still write to is used again
 * once the runner is done with it. */
POCKET_API void pocket_call_destroy(pocket_call* call);
/* Reserves room for an input in shared memory; write the values to tensor->data, row-major.
 * The room and its contents stay for later submissions until the input is set again, also when the
 * runner is replaced meanwhile. */
POCKET_API int32_t pocket_call_input(pocket_call* call, uint32_t index, int32_t dtype, int32_t rank,
                                     const int64_t* shape, pocket_tensor* tensor);
/* Sets a string input from `count` (= product of shape) byte strings; of none, both may be NULL. */
POCKET_API int32_t pocket_call_input_strings(pocket_call* call, uint32_t index, int32_t rank,
                                             const int64_t* shape, const char* const* strings,
                                             const size_t* lengths);
/* Uses a tensor kept on the runner's side as an input. */
POCKET_API int32_t pocket_call_input_handle(pocket_call* call, uint32_t index, uint64_t handle);
/* As if the input had never been set. Only an input of any type (POCKET_DTYPE_UNDEFINED in its
 * description) may be left out of a call. */
POCKET_API int32_t pocket_call_clear_input(pocket_call* call, uint32_t index);
/* Keeps an output on the runner's side instead of sending it (keep = 1). */
POCKET_API int32_t pocket_call_keep_output(pocket_call* call, uint32_t index, int32_t keep);
/* deadline_ns: from now; POCKET_FOREVER: none. Work that has not started by then is not run, and
 * pocket_call_wait answers POCKET_DEADLINE_EXCEEDED from then on, also when the runner is stuck. */
POCKET_API int32_t pocket_call_submit(pocket_call* call, uint64_t deadline_ns);
/* Returns the call's own status once it is answered; POCKET_DEADLINE_EXCEEDED when timeout_ns
 * passed first (the call then stays in flight). */
POCKET_API int32_t pocket_call_wait(pocket_call* call, uint64_t timeout_ns);
POCKET_API int32_t pocket_call_done(const pocket_call* call); /* 1 when wait would not block */
/* Any thread. Whoever waits for the call gets POCKET_CANCELLED at once, also when it runs already
 * (what it computes is then thrown away); a call that still waits for its turn is not run. */
POCKET_API int32_t pocket_call_cancel(pocket_call* call);
POCKET_API int32_t pocket_call_output(pocket_call* call, uint32_t index, pocket_tensor* tensor);
/* One element of a string output; *string is not NUL-terminated. */
POCKET_API int32_t pocket_call_output_string(pocket_call* call, uint32_t index, size_t element,
                                             const char** string, size_t* length);
POCKET_API int32_t pocket_call_output_handle(pocket_call* call, uint32_t index, uint64_t* handle);
/* FAILED_PRECONDITION while the call is in flight or was never submitted. */
POCKET_API int32_t pocket_call_receipt(const pocket_call* call, pocket_receipt* receipt);
/* How often the call was sent again since it was submitted (pocket_connect_options.retry). Running
 * a model twice changes nothing but the time it takes. Calls with inputs that the runner kept are
 * not sent again. */
POCKET_API int32_t pocket_call_retries(const pocket_call* call, uint32_t* retries);
/* Gives a kept tensor back. */
POCKET_API int32_t pocket_handle_release(pocket_model* model, uint64_t handle);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKET_POCKET_H_ */

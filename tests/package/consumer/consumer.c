/* A C program that uses Pocket: the answer of an echo must be the question. */
#include <pocket/pocket.h>
#include <stdio.h>
#include <string.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, pocket_last_error());
  return 1;
}

int main(void) {
  pocket_session* session = NULL;
  pocket_model* model = NULL;
  pocket_call* call = NULL;
  pocket_tensor input, output;
  const float values[4] = {1, 2, 3, 4};
  const int64_t shape = 4;
  if (pocket_connect(NULL, &session) != POCKET_OK) return failed("connect");
  if (pocket_model_open(session, "echo", NULL, &model) != POCKET_OK) return failed("open");
  if (pocket_call_create(model, &call) != POCKET_OK) return failed("create");
  if (pocket_call_input(call, 0, POCKET_FLOAT32, 1, &shape, &input) != POCKET_OK)
    return failed("input");
  memcpy(input.data, values, sizeof(values));
  if (pocket_call_submit(call, POCKET_FOREVER) != POCKET_OK) return failed("submit");
  if (pocket_call_wait(call, POCKET_FOREVER) != POCKET_OK) return failed("wait");
  if (pocket_call_output(call, 0, &output) != POCKET_OK) return failed("output");
  if (output.bytes != sizeof(values) || memcmp(output.data, values, sizeof(values)) != 0) return 2;
  pocket_call_destroy(call);
  pocket_model_close(model);
  pocket_session_close(session);
  return 0;
}

// A C++ program that uses Pocket: the answer of an echo must be the question.
#include <cstdio>
#include <pocket/pocket.hpp>
#include <vector>

int main() {
  try {
    const pocket::Session session;
    const pocket::Model model(session, "echo");
    const std::vector<float> values = {1, 2, 3, 4};
    const std::vector<int64_t> shape = {4};
    if (pocket::run<float>(model, values, shape) != values) return 2;
    pocket::Call call(model);
    const auto room = call.input<float>(model.input_index("x"), {4});
    for (size_t index = 0; index < room.size(); ++index) room[index] = -values[index];
    call.run();
    if (call.output(0).values<float>()[3] != -4) return 3;
    try {
      const pocket::Model missing(session, "no-such-model");
      return 4;
    } catch (const pocket::StatusError& error) {
      if (error.status() != POCKET_NOT_FOUND) return 5;
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

// A client of @name@.
#include <@name@.client.h>

#include <cstdio>

int main() {
  try {
    const pocket::Session session;
    const @name@::@Name@Client client(session, "@name@");

    @name@::GreetRequest greet;
    greet.set_name("world");
    const auto greeting = client.Greet(greet);
    std::printf("%s\n", greeting->text().c_str());

    @name@::ScaleRequest scale;
    scale.set_factor(2);
    const float values[] = {1, 2, 3};
    const auto scaled = client.Scale(
        scale, {.tensors = {pocket::TensorArgument::of<float>({3}, values)}});
    for (const float value : scaled.tensor(@name@::@Name@Client::ScaleOut::values).values<float>()) {
      std::printf("%g ", value);
    }
    std::printf("\n");

    @name@::CountRequest count;
    count.set_to(3);
    auto parts = client.Count(count);
    for (@name@::CountReply part; parts.read(part);) std::printf("%u ", part.number());
    std::printf("\n");
  } catch (const pocket::StatusError& error) {
    std::fprintf(stderr, "@name@: %s\n", error.what());
    return 1;
  }
}

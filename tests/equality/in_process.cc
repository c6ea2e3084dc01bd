// The engine loaded in this process, as a monolithic application has it.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "answers.h"
#include "base/checked.h"
#include "engine/model.h"
#include "model/repository.h"

namespace pocket::equality {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocate(size_t bytes) {
  return Memory(std::aligned_alloc(64, checked_align_up(std::max<size_t>(bytes, 1), 64).value()));
}

std::vector<Port> ports_of(const std::vector<engine::TensorInfo>& infos) {
  std::vector<Port> ports;
  for (const auto& info : infos) {
    const auto shape = info.dimensions();
    ports.push_back({info.name, info.dtype, info.rank, {shape.begin(), shape.end()}});
  }
  return ports;
}

void* allocate_output(void* context, uint32_t, size_t bytes) {
  auto* memory = static_cast<Memory*>(context);
  *memory = allocate(bytes);
  return memory->get();
}

Answer failed(const Error& error) { return {error.code, error.message, {}}; }

Answer run(engine::Context& context, const std::vector<Tensor>& tensors, size_t output_count) {
  std::vector<Memory> memory;
  std::vector<pocket_engine_input> inputs;
  for (const auto& tensor : tensors) {
    memory.push_back(allocate(tensor.bytes.size()));
    std::memcpy(memory.back().get(), tensor.bytes.data(), tensor.bytes.size());
    pocket_engine_input input{};
    input.index = tensor.index;
    input.dtype = tensor.dtype;
    input.rank = static_cast<int32_t>(tensor.shape.size());
    std::copy(tensor.shape.begin(), tensor.shape.end(), input.shape);
    input.data = memory.back().get();
    input.bytes = tensor.bytes.size();
    inputs.push_back(input);
  }
  std::vector<Memory> rooms(output_count);
  std::vector<pocket_engine_output> outputs(output_count);
  for (uint32_t index = 0; index < output_count; ++index) {
    outputs[index].index = index;
    outputs[index].allocate = allocate_output;
    outputs[index].allocate_context = &rooms[index];
  }
  if (auto ran = context.run(inputs, outputs); !ran.ok()) return failed(ran.error());
  Answer answer;
  for (const auto& output : outputs) {
    answer.outputs.push_back({output.dtype,
                              {output.shape, output.shape + output.rank},
                              {static_cast<const char*>(output.data), output.bytes}});
  }
  return answer;
}

}  // namespace

Answers answers_in_process(const engine::Plugin& plugin, const std::string& models,
                           const Case& each) {
  auto source = model::Repository(models).find(each.name, "");
  if (!source.ok()) throw std::runtime_error(source.error().message);
  engine::LoadOptions options;
  options.path = source->path;
  options.threads = source->manifest.threads.value();
  options.concurrency = source->manifest.concurrency.value();
  options.options = source->manifest.options;
  options.options.emplace_back("precision", source->manifest.precision);
  Answers answers;
  auto loaded = engine::Model::load(plugin, options);
  if (!loaded.ok()) {
    answers.load = failed(loaded.error());
    return answers;
  }
  engine::Model model = std::move(loaded).value();
  answers.inputs = ports_of(model.inputs());
  answers.outputs = ports_of(model.outputs());
  auto context = model.create_context();
  if (!context.ok()) throw std::runtime_error(context.error().message);
  for (const auto& call : each.calls) {
    answers.calls.push_back(
        run(*context, match_inputs(call, answers.inputs), model.outputs().size()));
  }
  return answers;
}

}  // namespace pocket::equality

#include "state.h"

#include <algorithm>
#include <map>
#include <protozero/pbf_message.hpp>
#include <set>
#include <vector>

namespace pocket::tensorflow_engine {
namespace {

// Field numbers of TensorFlow's meta_graph, graph, node_def, attr_value and function .proto.
enum class MetaGraph : protozero::pbf_tag_type { kGraph = 2 };
enum class Graph : protozero::pbf_tag_type { kNode = 1, kLibrary = 2 };
enum class Library : protozero::pbf_tag_type { kFunction = 1 };
enum class Function : protozero::pbf_tag_type { kSignature = 1, kNode = 3 };
enum class Named : protozero::pbf_tag_type { kName = 1 };  // OpDef and NameAttrList
enum class NodeDef : protozero::pbf_tag_type { kName = 1, kOp = 2, kInput = 3, kAttribute = 5 };
enum class Entry : protozero::pbf_tag_type { kValue = 2 };
enum class Value : protozero::pbf_tag_type { kList = 1, kFunction = 10 };
enum class List : protozero::pbf_tag_type { kFunction = 9 };

using protozero::data_view;
using protozero::pbf_message;

// How the types of operations begin that change a variable, a table or a queue.
constexpr std::string_view kChanging[] = {"Assign",
                                          "ResourceApply",
                                          "ResourceSparseApply",
                                          "ResourceScatter",
                                          "ResourceStridedSliceAssign",
                                          "StridedSliceAssign",
                                          "ScatterUpdate",
                                          "ScatterAdd",
                                          "ScatterSub",
                                          "ScatterMul",
                                          "ScatterDiv",
                                          "ScatterMin",
                                          "ScatterMax",
                                          "ScatterNdUpdate",
                                          "ScatterNdAdd",
                                          "ScatterNdSub",
                                          "ScatterNdMin",
                                          "ScatterNdMax",
                                          "Apply",
                                          "SparseApply",
                                          "CountUpTo",
                                          "LookupTableInsert",
                                          "LookupTableImport",
                                          "LookupTableRemove",
                                          "InitializeTable",
                                          "QueueEnqueue",
                                          "QueueDequeue",
                                          "Stage",
                                          "Unstage",
                                          "MapStage",
                                          "MapUnstage",
                                          "OrderedMapStage",
                                          "OrderedMapUnstage",
                                          "BarrierInsert",
                                          "BarrierTake",
                                          "AccumulatorApply",
                                          "AccumulatorTake",
                                          "ResourceAccumulator",
                                          "GetSessionHandle"};

struct Node {
  std::string name, type;
  std::vector<std::string> inputs, functions;
};

std::string read_name(data_view bytes) {
  pbf_message<Named> message(bytes);
  std::string name;
  while (message.next(Named::kName)) name = message.get_string();
  return name;
}

void read_attribute(data_view bytes, std::vector<std::string>& functions) {
  pbf_message<Entry> entry(bytes);
  while (entry.next(Entry::kValue)) {
    pbf_message<Value> value(entry.get_message());
    while (value.next()) {
      if (value.tag() == Value::kFunction) {
        functions.push_back(read_name(value.get_view()));
      } else if (value.tag() == Value::kList) {
        pbf_message<List> list(value.get_message());
        while (list.next(List::kFunction)) functions.push_back(read_name(list.get_view()));
      } else {
        value.skip();
      }
    }
  }
}

Node read_node(data_view bytes) {
  Node node;
  pbf_message<NodeDef> message(bytes);
  while (message.next()) {
    switch (message.tag()) {
      case NodeDef::kName:
        node.name = message.get_string();
        break;
      case NodeDef::kOp:
        node.type = message.get_string();
        break;
      case NodeDef::kInput:
        node.inputs.push_back(message.get_string());
        break;
      case NodeDef::kAttribute:
        read_attribute(message.get_view(), node.functions);
        break;
      default:
        message.skip();
    }
  }
  node.functions.push_back(node.type);  // a function may be called by its name, too
  return node;
}

struct Operations {
  std::map<std::string, Node> graph;
  std::map<std::string, std::vector<Node>> functions;
};

void read_library(data_view bytes, Operations& operations) {
  pbf_message<Library> library(bytes);
  while (library.next(Library::kFunction)) {
    pbf_message<Function> function(library.get_message());
    std::string name;
    std::vector<Node> nodes;
    while (function.next()) {
      if (function.tag() == Function::kSignature) {
        name = read_name(function.get_view());
      } else if (function.tag() == Function::kNode) {
        nodes.push_back(read_node(function.get_view()));
      } else {
        function.skip();
      }
    }
    operations.functions[name] = std::move(nodes);
  }
}

Operations read_operations(std::string_view meta_graph) {
  Operations operations;
  pbf_message<MetaGraph> message(meta_graph.data(), meta_graph.size());
  while (message.next(MetaGraph::kGraph)) {
    pbf_message<Graph> graph(message.get_message());
    while (graph.next()) {
      if (graph.tag() == Graph::kNode) {
        Node node = read_node(graph.get_view());
        operations.graph[node.name] = std::move(node);
      } else if (graph.tag() == Graph::kLibrary) {
        read_library(graph.get_view(), operations);
      } else {
        graph.skip();
      }
    }
  }
  return operations;
}

bool changes_state(const Node& node) {
  return std::any_of(std::begin(kChanging), std::end(kChanging),
                     [&](std::string_view start) { return node.type.starts_with(start); });
}

/// "^name" and "name:1" are the operation `name`.
std::string operation_of(const std::string& input) {
  const size_t begin = input.starts_with('^') ? 1 : 0;
  return input.substr(begin, input.find(':') - begin);
}

}  // namespace

std::string find_state(std::string_view meta_graph, const Signature& signature) {
  const Operations operations = read_operations(meta_graph);
  std::vector<const Node*> left;  // to be looked at
  std::set<std::string> seen, called;
  const auto need = [&](const std::string& name) {
    const auto found = operations.graph.find(name);
    if (found != operations.graph.end() && seen.insert(name).second) left.push_back(&found->second);
  };
  for (const auto& output : signature.outputs) need(output.operation);
  const std::set<std::string> fed = [&] {
    std::set<std::string> names;
    for (const auto& input : signature.inputs) names.insert(input.operation);
    return names;
  }();
  while (!left.empty()) {
    const Node& node = *left.back();
    left.pop_back();
    if (changes_state(node)) return "'" + node.name + "' (" + node.type + ")";
    for (const auto& function : node.functions) {
      const auto found = operations.functions.find(function);
      if (found == operations.functions.end() || !called.insert(function).second) continue;
      for (const auto& inner : found->second) left.push_back(&inner);
    }
    // A function's operations are all here already; its inputs' names are not the graph's.
    const auto own = operations.graph.find(node.name);
    if (own == operations.graph.end() || &own->second != &node || fed.contains(node.name)) continue;
    for (const auto& input : node.inputs) need(operation_of(input));
  }
  return {};
}

}  // namespace pocket::tensorflow_engine

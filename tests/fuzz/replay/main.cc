// Runs one fuzz target without a fuzzer: every file of the corpus directory, then inputs made from them and
// from nothing by a generator whose seed is fixed, so that a failure repeats. What fuzzing found once is kept
// in the corpus, and this holds it in every preset and with every compiler.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;
using Generator = std::mt19937_64;

constexpr int made_up_inputs = 4000;
constexpr std::size_t max_input = 1024;  // bytes, of those made from nothing

std::size_t below(Generator& generator, std::size_t limit) { return limit == 0 ? 0 : generator() % limit; }

std::vector<Input> read_corpus(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(directory))
    for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return corpus;
}

Input made_from_nothing(Generator& generator) {
  Input input(below(generator, max_input + 1));
  for (auto& byte : input) byte = static_cast<std::uint8_t>(generator());
  return input;
}

// A few bytes changed, cut, repeated or inserted.
Input made_from(Input input, Generator& generator) {
  for (std::size_t changes = 1 + below(generator, 4); changes > 0; --changes) {
    const auto at = input.begin() + static_cast<std::ptrdiff_t>(below(generator, input.size() + 1));
    const auto byte = static_cast<std::uint8_t>(generator());
    switch (below(generator, 4)) {
      case 0:
        if (at != input.end()) *at = byte;
        break;
      case 1:
        input.erase(at, input.end());
        break;
      case 2:
        input.insert(at, 1 + below(generator, 8), byte);
        break;
      default: {
        const Input tail(at, input.end());
        input.insert(input.end(), tail.begin(), tail.end());
      }
    }
  }
  return input;
}

void feed(const Input& input) {
  // A copy of exactly its size on the heap, so that the address sanitizer sees a read one byte past it.
  const std::vector<std::uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  const auto corpus = read_corpus(argc > 1 ? argv[1] : "");
  Generator generator(20240229);
  feed({});
  for (const auto& input : corpus) feed(input);
  for (int i = 0; i < made_up_inputs; ++i) {
    const bool mutate = !corpus.empty() && i % 4 != 0;
    feed(mutate ? made_from(corpus[below(generator, corpus.size())], generator)
                : made_from_nothing(generator));
  }
  std::printf("%zu corpus files and %d made-up inputs\n", corpus.size(), made_up_inputs);
}

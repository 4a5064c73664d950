#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nsrun {

// Rows of cells, each column as wide as it needs to be; the first row is the heading.
class TextTable {
 public:
  enum class Side { left, right };
  explicit TextTable(std::vector<Side> sides) : sides_(std::move(sides)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::vector<std::string> lines() const;

 private:
  const std::vector<Side> sides_;
  std::vector<std::vector<std::string>> rows_;
};

// An answer's `result`, for people: a table, or a line for each thing it says.
std::string in_words(const boost::json::value& result);

// A field of a flow or port as text; empty where there is none. Control characters, which the guest may have
// put into a name, become '?': nothing of it commands a terminal.
std::string cell(const boost::json::object& object, std::string_view name);
std::uint64_t number(const boost::json::object& object, std::string_view name);

}  // namespace nsrun

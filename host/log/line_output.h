#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Where lines are written, and by whom else is not ours to know: standard error is shared with the command,
// which may fill its pipe, set flags of its file description, or truncate its file. So we have a description
// of our own where the kernel gives us one (not of a socket), wait for room for a bounded time only, and know
// what was lost. On one thread at a time.
class LineOutput {
 public:
  // A file to append to, or "-" for standard error.
  static Result<LineOutput> open(const std::string& path);
  // What this descriptor writes to.
  static Result<LineOutput> to(int fd);

  // `line` ends with a newline. False: it is lost.
  bool write(std::string_view line);
  std::uint64_t lost() const { return lost_; }  // lines
  // Since the last write() that succeeded, somebody else has cut the file short.
  bool is_truncated() const;
  // Why a line was lost, the first time.
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  LineOutput(UniqueFd file, bool is_own);
  bool put(std::string_view text, std::size_t& done);
  bool wait_for_room();
  ssize_t put_some(std::string_view text);

  UniqueFd file_;
  bool is_own_, is_socket_ = false, is_regular_ = false;
  bool is_stalled_ = false;  // the last wait was in vain
  off_t size_ = 0;           // of the file after our last line
  std::string rest_;         // of a line that was written in part
  std::uint64_t lost_ = 0;
  std::optional<Error> trouble_;
};

}  // namespace nsrun

#pragma once

#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// The text of a file with settings, of at most `most` bytes; `what` is for the error: "the policy". Regular
// files only: what cannot be read twice cannot be loaded again.
Result<std::string> read_settings(const std::string& what, const std::string& path, std::size_t most);
// The same of a file that is open already; `path` is for errors.
Result<std::string> read_settings(const std::string& what, const std::string& path, std::size_t most,
                                  UniqueFd file);

}  // namespace nsrun

#include "host/services/lennut/lennut_header.h"

namespace nsrun::lennut {

Result<std::size_t> missing(std::string_view so_far) {
  if (header.starts_with(so_far)) return header.size() - so_far.size();
  return Error{"the server does not speak as lennut does", errno_code(EPROTO),
               "is --server-addr what the server has as --bind-client?"};
}

}  // namespace nsrun::lennut

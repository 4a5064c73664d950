#pragma once

#include <functional>
#include <string>

#include "host/text/yaml_events.h"

namespace nsrun {

// A file of settings that is one list of mappings, under one key:
//
//   groups:
//     - name: web
//     - name: db
struct YamlList {
  const char* key;    // "groups"
  const char* entry;  // "group"
  // For who wrote it otherwise: which key the file has, and which an entry has.
  const char* known_top;
  const char* known_keys;
};

// Calls `read_entry` for each entry, behind its beginning. Errors are those of `events`. At least one.
Result<void> read_yaml_list(YamlEvents& events, const YamlList& list,
                            const std::function<Result<void>(const TextPlace&)>& read_entry);

}  // namespace nsrun

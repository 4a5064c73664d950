#pragma once

namespace nsrun {

// Gives a C library's object back when its owner goes: std::unique_ptr<T, Releases<the library's function>>.
template <auto release>
struct CDeleter {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};

}  // namespace nsrun

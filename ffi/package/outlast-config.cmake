# find_package(outlast) gives the imported targets outlast::outlast (shared) and outlast::static.
get_filename_component(_outlast_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_package(Threads REQUIRED)
if(NOT TARGET outlast::outlast)
  add_library(outlast::outlast SHARED IMPORTED)
  set_target_properties(outlast::outlast PROPERTIES
    IMPORTED_LOCATION "${_outlast_prefix}/lib/liboutlast.so"
    IMPORTED_SONAME "liboutlast.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${_outlast_prefix}/include")
  add_library(outlast::static STATIC IMPORTED)
  set_target_properties(outlast::static PROPERTIES
    IMPORTED_LOCATION "${_outlast_prefix}/lib/liboutlast.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_outlast_prefix}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m;gcc_s")
endif()
unset(_outlast_prefix)

# The CMake exports in ROS 2 wheels name include directories of the machine that built the wheels.
# CMake refuses to generate with such a directory, so this drops the missing ones from every
# imported target of the calling directory. Without wheels nothing is missing and nothing changes.

function(drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(present "")
    foreach(directory IN LISTS directories)
      # Generator expressions can't be judged here and are kept.
      if(directory MATCHES "^\\$<" OR EXISTS "${directory}")
        list(APPEND present "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
  endforeach()
endfunction()

# Deferred to the end of the directory: rosidl finds packages, and so adds targets, until then.
# CMake 3.21 brought IMPORTED_TARGETS; older ones only occur beside ROS from apt.
if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.21)
  cmake_language(DEFER CALL drop_missing_includes)
endif()

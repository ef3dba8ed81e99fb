//! The main job: recipe, plan, pipeline, verify, report.

//! Compares the header with the library's source: functions, error codes, messages, sizes.

use std::fs;

use super::tools::folder;

/// The types of the library as C writes them, with the space or asterisk before a name.
const TYPES: [(&str, &str); 13] = [
    ("*mut CModel", "rfy_model *"),
    ("*const CModel", "const rfy_model *"),
    ("*const c_void", "const void *"),
    ("*mut c_void", "void *"),
    ("*const u8", "const uint8_t *"),
    ("*mut u8", "uint8_t *"),
    ("*const f32", "const float *"),
    ("f32", "float "),
    ("*const i32", "const int32_t *"),
    ("*mut *const i32", "const int32_t **"),
    ("*const c_char", "const char *"),
    ("usize", "size_t "),
    ("i32", "int32_t "),
];

/// The header and the files of the library that it repeats.
#[derive(Clone)]
struct Sources {
    header: String,
    functions: String,
    errors: String,
    model: String,
}

/// Returns the committed files.
fn committed() -> Sources {
    let read = |name: &str| fs::read_to_string(folder().join(name)).unwrap();
    Sources {
        header: read("include/rarefy.h"),
        functions: read("src/lib.rs"),
        errors: read("src/error.rs"),
        model: read("src/model.rs"),
    }
}

/// Returns `text` with single spaces between words.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a type of the library as C writes it before `name`.
fn in_c(kind: &str, name: &str) -> String {
    let known = TYPES.iter().find(|(rust, _)| *rust == kind);
    let (_, c) = known.unwrap_or_else(|| panic!("{kind} has no type in C"));
    format!("{c}{name}")
}

/// Returns the functions of the library, declared as in C.
fn functions_of_library(source: &str) -> Vec<String> {
    let mut functions: Vec<String> = source
        .split("extern \"C\" fn ")
        .skip(1)
        .map(|text| {
            let (name, text) = text.split_once('(').unwrap();
            let (parameters, text) = text.split_once(')').unwrap();
            let result = text.split_once("->").unwrap().1.split_once('{').unwrap().0;
            let parameters = parameters.split(',').map(flat).filter(|it| !it.is_empty());
            let parameters = parameters.map(|parameter| {
                let (name, kind) = parameter.split_once(": ").unwrap();
                in_c(kind, name)
            });
            let parameters = parameters.collect::<Vec<_>>().join(", ");
            format!("{}({parameters})", in_c(result.trim(), name))
        })
        .collect();
    functions.sort();
    functions
}

/// Returns `header` without its comments.
fn without_comments(header: &str) -> String {
    let parts = header.split("/*");
    let code = parts.map(|part| part.rsplit("*/").next().unwrap());
    code.collect()
}

/// Returns the functions that the header declares.
fn functions_of_header(header: &str) -> Vec<String> {
    let code = without_comments(header);
    // Lines of the preprocessor and braces end no statement.
    let lines = code
        .lines()
        .filter(|line| !line.starts_with(['#', '}', 'e']));
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut functions: Vec<String> = code
        .split(';')
        .map(flat)
        .filter(|statement| statement.contains('('))
        .collect();
    functions.sort();
    functions
}

/// Returns the error codes of the header: name, code, message.
pub(crate) fn errors_of_header(header: &str) -> Vec<(String, usize, String)> {
    let lines: Vec<&str> = header.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let message = pair[0].strip_prefix("/* ")?.strip_suffix(" */")?;
        let (name, code) = pair[1].strip_prefix("#define ")?.split_once(' ')?;
        Some((name.to_owned(), code.parse().ok()?, message.to_owned()))
    });
    pairs
        .filter(|(name, ..)| name != "RFY_MODEL_WORDS")
        .collect()
}

/// Returns the error codes of the library: name, code, message.
fn errors_of_library(source: &str) -> Vec<(String, usize, String)> {
    let (_, codes) = source.split_once("enum Error {").unwrap();
    let codes = codes.split_once('}').unwrap().0.split(',').map(flat);
    let names = codes.filter_map(|code| {
        let (name, code) = code.split_once(" = ")?;
        let letters = name.chars().map(|letter| match letter {
            'A'..='Z' => format!("_{letter}"),
            _ => letter.to_ascii_uppercase().to_string(),
        });
        Some((
            format!("RFY{}", letters.collect::<String>()),
            code.parse().unwrap(),
        ))
    });
    let names = [("RFY_OK".to_owned(), 0)].into_iter().chain(names);
    let (_, messages) = source.split_once("MESSAGES").unwrap();
    let messages = messages.split_once("];").unwrap().0.split("c\"").skip(1);
    let messages = messages.map(|message| message.split_once('"').unwrap().0.to_owned());
    names
        .zip(messages)
        .map(|((name, code), message)| (name, code, message))
        .collect()
}

/// Returns what differs between the header and the library.
fn differences(sources: &Sources) -> Vec<&'static str> {
    let Sources {
        header,
        functions,
        errors,
        model,
    } = sources;
    let words = |text: &str, before: &str| {
        let (_, after) = text.split_once(before).unwrap();
        let digits = after.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>()
    };
    let code = without_comments(header);
    let field = "typedef struct rfy_model { uintptr_t words[RFY_MODEL_WORDS]; } rfy_model;";
    [
        (
            "functions",
            functions_of_header(header) != functions_of_library(functions),
        ),
        (
            "errors",
            errors_of_header(header) != errors_of_library(errors),
        ),
        (
            "size",
            words(&code, "#define RFY_MODEL_WORDS ") != words(model, "const MODEL_WORDS: usize = "),
        ),
        ("struct", !flat(&code).contains(field)),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

#[test]
fn the_header_and_the_library_agree() {
    let sources = committed();
    assert_eq!(functions_of_library(&sources.functions).len(), 9);
    assert_eq!(errors_of_library(&sources.errors).len(), 13);
    assert_eq!(differences(&sources), [""; 0]);
}

#[test]
fn a_change_of_either_alone_is_noticed() {
    type Part = fn(&mut Sources) -> &mut String;
    let header: Part = |sources| &mut sources.header;
    let functions: Part = |sources| &mut sources.functions;
    let errors: Part = |sources| &mut sources.errors;
    let model: Part = |sources| &mut sources.model;
    let changes: [(Part, &str, &str, &str); 12] = [
        (
            header,
            "size_t rfy_inputs",
            "int32_t rfy_inputs",
            "functions",
        ),
        (
            header,
            "size_t rfy_inputs(const rfy_model *model);",
            "",
            "functions",
        ),
        (
            header,
            "const int32_t *logits, size_t count",
            "const int32_t *logits",
            "functions",
        ),
        (header, "#define RFY_NULL 1", "#define RFY_NULL 2", "errors"),
        (
            header,
            "/* a pointer is null */",
            "/* a pointer is NULL */",
            "errors",
        ),
        (header, "RFY_MODEL_WORDS 10", "RFY_MODEL_WORDS 9", "size"),
        (header, "uintptr_t words[", "uint32_t words[", "struct"),
        (
            functions,
            "input_bytes: usize,",
            "input_bytes: i32,",
            "functions",
        ),
        (functions, "fn rfy_argmax", "fn rfy_largest", "functions"),
        (errors, "Empty = 2", "Empty = 12", "errors"),
        (errors, "c\"no error\"", "c\"success\"", "errors"),
        (
            model,
            "MODEL_WORDS: usize = 10",
            "MODEL_WORDS: usize = 11",
            "size",
        ),
    ];
    for (part, from, to, difference) in changes {
        let mut sources = committed();
        let text = part(&mut sources);
        assert!(text.contains(from), "{from}");
        *text = text.replace(from, to);
        assert_eq!(differences(&sources), [difference], "{from} to {to}");
    }
}

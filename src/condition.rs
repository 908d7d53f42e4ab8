//! Conditions of catalog rows: small boolean expressions over the parameters.
//!
//! ```text
//! or    = and ("or" and)*
//! and   = not ("and" not)*
//! not   = "not" not | "(" or ")" | atom
//! atom  = feature | "private_endpoint" | "vantage" "==" word | "region" "==" word
//! ```

use std::fmt;

use crate::limits;
use crate::model::Vantage;
use crate::parameters::{Feature, Parameters};

/// A parsed condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    PrivateEndpoint,
    Feature(Feature),
    Vantage(Vantage),
    Region(String),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

impl Condition {
    /// Parses a condition; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0 };
        let root = parser.or(0)?;
        match parser.take() {
            None => Ok(Self { text: text.to_owned(), root }),
            Some(token) => {
                Err(format!("`{token}` is not expected there in the condition `{text}`"))
            }
        }
    }

    /// Whether it holds for these parameters.
    pub fn holds(&self, parameters: &Parameters) -> bool {
        self.root.holds(parameters)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn holds(&self, parameters: &Parameters) -> bool {
        match self {
            Self::PrivateEndpoint => parameters.private_endpoint,
            Self::Feature(feature) => parameters.features.contains(feature),
            Self::Vantage(vantage) => parameters.vantage == *vantage,
            Self::Region(region) => parameters.region.as_ref() == Some(region),
            Self::Not(inner) => !inner.holds(parameters),
            Self::And(left, right) => left.holds(parameters) && right.holds(parameters),
            Self::Or(left, right) => left.holds(parameters) || right.holds(parameters),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace("==", " == ");
    let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    if tokens.is_empty() {
        return Err("the condition is empty".to_owned());
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<String>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(String::as_str)
    }

    fn take(&mut self) -> Option<String> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn or(&mut self, depth: usize) -> Result<Node, String> {
        let mut left = self.and(depth)?;
        while self.peek() == Some("or") {
            self.take();
            left = Node::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Node, String> {
        let mut left = self.not(depth)?;
        while self.peek() == Some("and") {
            self.take();
            left = Node::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Node, String> {
        if depth > limits::CONDITION_DEPTH {
            return Err(format!(
                "the condition is nested deeper than {} levels",
                limits::CONDITION_DEPTH
            ));
        }
        match self.take().as_deref() {
            Some("not") => Ok(Node::Not(Box::new(self.not(depth + 1)?))),
            Some("(") => {
                let inner = self.or(depth + 1)?;
                match self.take().as_deref() {
                    Some(")") => Ok(inner),
                    _ => Err("a `(` is not closed".to_owned()),
                }
            }
            Some("private_endpoint") => Ok(Node::PrivateEndpoint),
            Some("vantage") => self.value()?.parse().map(Node::Vantage).map_err(|e| format!("{e}")),
            Some("region") => self.value().map(Node::Region),
            Some(word) => word
                .parse()
                .map(Node::Feature)
                .map_err(|e| format!("{e}, private_endpoint, vantage, region")),
            None => Err("the condition ends too early".to_owned()),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match (self.take().as_deref(), self.take()) {
            (Some("=="), Some(word)) => Ok(word),
            _ => Err("`==` and a word are expected after `vantage` and `region`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str, parameters: &Parameters) -> bool {
        Condition::parse(text).unwrap().holds(parameters)
    }

    #[test]
    fn conditions_bind_as_people_read_them() {
        let mut parameters = Parameters {
            private_endpoint: true,
            vantage: Vantage::JumpBox,
            ..Parameters::default()
        };
        parameters.features.insert(Feature::Hbi);
        for (text, expected) in [
            ("hbi", true),
            ("rstudio", false),
            ("not rstudio", true),
            ("hbi and rstudio or private_endpoint", true),
            ("hbi and (rstudio or not private_endpoint)", false),
            ("vantage == jump_box", true),
            ("vantage==cluster_subnet", false),
            ("region == usgovvirginia", false),
        ] {
            assert_eq!(holds(text, &parameters), expected, "{text}");
        }
    }

    #[test]
    fn bad_conditions_say_why() {
        for text in
            ["", "hbi and", "(hbi", "hbi rstudio", "vantage jump_box", "vantage == attic", "hbii"]
        {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}hbi", "not ".repeat(1000));
        assert!(Condition::parse(&deep).is_err());
    }

    /// A condition, and whether it holds with these three words.
    fn condition(words: [bool; 3]) -> impl Strategy<Value = (String, bool)> {
        let word = prop_oneof![
            Just(("hbi".to_owned(), words[0])),
            Just(("private_endpoint".to_owned(), words[1])),
            Just(("vantage == jump_box".to_owned(), words[2])),
        ];
        word.prop_recursive(4, 24, 2, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                inner.prop_map(|(text, value)| (format!("not ({text})"), !value)),
                pair.clone().prop_map(|((a, x), (b, y))| (format!("({a}) and ({b})"), x && y)),
                pair.prop_map(|((a, x), (b, y))| (format!("({a} ) or( {b})"), x || y)),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_condition_means_what_logic_says(
            (words, (text, expected)) in any::<[bool; 3]>()
                .prop_flat_map(|words| (Just(words), condition(words))),
        ) {
            let vantage = if words[2] { Vantage::JumpBox } else { Vantage::ClusterSubnet };
            let mut parameters =
                Parameters { private_endpoint: words[1], vantage, ..Parameters::default() };
            if words[0] {
                parameters.features.insert(Feature::Hbi);
            } else {
                parameters.features.remove(&Feature::Hbi);
            }
            prop_assert_eq!(holds(&text, &parameters), expected, "{}", text);
        }
    }
}
